import type { Socket } from "node:net";

import type { Clock, Disposable, Logger } from "@tulle/base";

import type { Names } from "../dns/names.js";
import type { ListenAddress } from "../options.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { OriginalDestination } from "./original-destination.js";
import type { OutboundPolicy } from "./outbound-policy.js";
import type { OwnListeners } from "./own-listeners.js";
import { Passthrough } from "./passthrough.js";
import { formatAddress } from "./tcp-listener.js";

/** Nothing is there but services (control plane's virtual IPs): an address without one is that of a service that is gone. */
const VIRTUAL_IPS = "240.240.";

export interface InterceptionOptions {
  readonly originalDestination: OriginalDestination;
  readonly own: OwnListeners;
  readonly names: Names;
  readonly policy: OutboundPolicy;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
}

/** A redirected connection to a service of the mesh. */
export interface Redirected {
  /** `host:port` in full of the service that its destination stands for. */
  readonly authority: string;
  readonly destination: ListenAddress;
}

/**
 * Sorts the connections of the outbound listener: made to it directly, redirected on the way to a service, or redirected
 * on the way to somewhere that the mesh does not know.
 */
export class Interception implements Disposable {
  readonly #options: InterceptionOptions;
  readonly #passthrough: Passthrough;
  readonly #count: (to: string) => void;

  constructor(options: InterceptionOptions) {
    const { metrics, clock, logger } = options;
    const connections = metrics.counter(
      "tulle_redirected_connections_total",
      "Redirected connections by where they went: service, passthrough, refused, loop.",
    );
    this.#options = options;
    this.#count = (to) => connections.with(["to", to]).inc();
    this.#passthrough = new Passthrough(clock, () => {
      this.#count("loop");
      logger.warn("a connection of this sidecar was redirected to itself; exclude its user from the rules");
    });
  }

  /** The service that a connection leads to; "direct" when it was not redirected; "taken" when it is dealt with here. */
  sort(socket: Socket): Redirected | "direct" | "taken" {
    const { originalDestination, own, names, policy } = this.#options;
    const destination = originalDestination(socket);
    if (destination === undefined) return "direct";
    if (this.#passthrough.isLoop(socket)) return "taken";
    if (own.has(destination)) {
      this.#count("loop");
      socket.destroy();
      return "taken";
    }
    const host = names.hostOf(destination.host);
    if (host !== undefined) {
      this.#count("service");
      return { authority: formatAddress(host, destination.port), destination };
    }
    if (policy.passthrough && !destination.host.startsWith(VIRTUAL_IPS)) {
      this.#count("passthrough");
      this.#passthrough.carry(socket, destination);
    } else {
      this.#count("refused");
      socket.destroy();
    }
    return "taken";
  }

  [Symbol.dispose](): void {
    this.#passthrough[Symbol.dispose]();
  }
}
