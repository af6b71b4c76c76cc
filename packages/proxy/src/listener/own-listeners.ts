import { networkInterfaces } from "node:os";

import type { ListenAddress } from "../options.js";
import { isUnspecified, plainAddress } from "./plain-address.js";

/**
 * Where the sidecar itself listens. A redirected connection that was made to one of these places would lead the sidecar
 * to itself, or show its ports to whoever the rules let in.
 */
export class OwnListeners {
  readonly #listeners: ListenAddress[] = [];
  readonly #localAddresses: () => readonly string[];

  /** `localAddresses`: the addresses of this machine at present; default: what the kernel says. */
  constructor(localAddresses: () => readonly string[] = addressesOfThisMachine) {
    this.#localAddresses = localAddresses;
  }

  add(address: ListenAddress): void {
    this.#listeners.push(address);
  }

  /** Whether a connection to `destination`, however it is spelt, reaches one of the listeners. */
  has({ host, port }: ListenAddress): boolean {
    return this.#listeners.some(
      (listener) =>
        listener.port === port &&
        (isUnspecified(listener.host)
          ? this.#isLocal(host)
          : plainAddress(listener.host) === plainAddress(host)),
    );
  }

  #isLocal(host: string): boolean {
    const plain = plainAddress(host);
    return (
      isUnspecified(plain) ||
      plain === "::1" ||
      plain.startsWith("127.") ||
      this.#localAddresses().some((address) => plainAddress(address) === plain)
    );
  }
}

/** Of all its interfaces, at present. */
export function addressesOfThisMachine(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((of) => (of ?? []).map(({ address }) => address));
}
