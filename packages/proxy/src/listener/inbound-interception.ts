import type { Socket } from "node:net";

import type { SnapshotSource } from "@tulle/engine";

import type { ListenAddress } from "../options.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import { chainsFor } from "./inbound-source.js";
import type { OriginalDestination } from "./original-destination.js";
import type { OwnListeners } from "./own-listeners.js";

export interface InboundInterceptionOptions {
  readonly originalDestination: OriginalDestination;
  readonly own: OwnListeners;
  readonly configuration: SnapshotSource;
  readonly metrics: MetricsRegistry;
}

/** Finds out where connections of the inbound listener were made to: to it, or to a port of the workload. */
export class InboundInterception {
  readonly #options: InboundInterceptionOptions;
  readonly #count: (to: string) => void;

  constructor(options: InboundInterceptionOptions) {
    const connections = options.metrics.counter(
      "tulle_redirected_inbound_connections_total",
      "Redirected connections to this workload by where they went: service, passthrough, refused, loop.",
    );
    this.#options = options;
    this.#count = (to) => connections.with(["to", to]).inc();
  }

  /** Undefined: it was not redirected; null: it is to be refused. */
  destinationOf(socket: Socket): ListenAddress | undefined | null {
    const { originalDestination, own, configuration } = this.#options;
    const destination = originalDestination(socket);
    if (destination === undefined) return undefined;
    if (own.has(destination)) {
      this.#count("loop");
      return null;
    }
    const chains = chainsFor(configuration.current, destination.port);
    if (chains.some(({ destinationPort }) => destinationPort === destination.port)) this.#count("service");
    else this.#count(chains.length > 0 ? "passthrough" : "refused");
    return chains.length > 0 ? destination : null;
  }
}
