import { MeshError } from "@tulle/base";

import { INBOUND_LISTENER } from "../listener/inbound-source.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import type { SidecarConfiguration } from "../xds/sidecar-configuration.js";

export interface ReadinessParts {
  readonly configuration: SidecarConfiguration;
  readonly tls: WorkloadTls;
  /** Listeners that there must be an answer about; the inbound one counts only where ports are served. */
  readonly listeners: ReadonlySet<string>;
  readonly servesPorts: boolean;
  /** It is ready without any port: a Gateway may come later. */
  readonly isGateway: boolean;
  /** Resolves once connections are carried by what there is now. */
  readonly caughtUp: () => Promise<void>;
  readonly onReady: () => void;
}

/** When a sidecar begins to serve: once, as soon as it has all that it needs. */
export class Readiness {
  /** Rejects when it never will. */
  readonly ready: Promise<void>;
  readonly #parts: ReadinessParts;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #live = false;
  #closed = false;

  constructor(parts: ReadinessParts) {
    this.#parts = parts;
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever does not wait for it must not crash by it.
    this.ready.catch(() => undefined);
  }

  get live(): boolean {
    return this.#live;
  }

  /** Looks again: something has come. */
  async check(): Promise<void> {
    if (this.#live || !this.#hasAll()) return;
    await this.#parts.caughtUp();
    if (this.#live || this.#closed) return;
    this.#live = true;
    this.#parts.onReady();
    this.#resolve();
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  close(): void {
    this.#closed = true;
    this.#reject(new MeshError("canceled", "PROXY_CLOSED", "the sidecar was closed before it was ready"));
  }

  /** What the ports of a gateway need has come, or it is to open none. */
  #knowsPorts(): boolean {
    const { current } = this.#parts.configuration;
    const listener = current.inbound(INBOUND_LISTENER);
    return listener === undefined ? current.outbound(INBOUND_LISTENER) === null : listener.warm;
  }

  /** An identity, the inbound listener where ports are served, and an answer about every upstream. */
  #hasAll(): boolean {
    const { tls, configuration, listeners, servesPorts, isGateway } = this.#parts;
    if (tls.svid === undefined || !configuration.complete) return false;
    const snapshot = configuration.current;
    if (servesPorts && snapshot.inbound(INBOUND_LISTENER) === undefined) return false;
    if (isGateway && !this.#knowsPorts()) return false;
    for (const name of listeners) {
      if (name === INBOUND_LISTENER) continue;
      const chain = snapshot.outbound(name);
      // Null is an answer: the service does not exist yet, and requests to it are told so.
      if (chain === undefined || chain?.warm === false) return false;
    }
    return true;
  }
}
