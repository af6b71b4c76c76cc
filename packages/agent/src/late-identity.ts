import { Emitter, MeshError, type Event } from "@tulle/base";

import type { Svid, TrustUpdate } from "./contract.js";
import type { JoiningIdentity } from "./identity.js";

/** An identity that is opened later: nobody knows yet where to join. */
export class LateIdentity implements JoiningIdentity {
  readonly #ready: Promise<Svid>;
  readonly #rotated = new Emitter<Svid>();
  #identity: JoiningIdentity | undefined;
  #disposed = false;

  /** `opening` rejects when there will be none; then `ready()` does. */
  constructor(opening: Promise<JoiningIdentity>) {
    this.#ready = opening.then((identity) => {
      if (this.#disposed) identity[Symbol.dispose]();
      this.#identity = identity;
      identity.onRotated((svid) => this.#rotated.emit(svid));
      return identity.ready();
    });
    // Whoever asks gets the rejection; nobody asking is no crash.
    this.#ready.catch(() => undefined);
  }

  readonly onRotated: Event<Svid> = (listener) => this.#rotated.event(listener);

  current(): Svid {
    if (this.#identity !== undefined) return this.#identity.current();
    throw new MeshError("unavailable", "AGENT_NO_IDENTITY", "the control plane is not known yet");
  }

  ready(): Promise<Svid> {
    return this.#ready;
  }

  trust(update: TrustUpdate): void {
    this.#identity?.trust(update);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#identity?.[Symbol.dispose]();
  }
}
