import type { Clock, Logger } from "@tulle/base";

import type { OutboundPolicy } from "../listener/outbound-policy.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";

interface FailOpenParts {
  /** What lets connections pass as long as nobody has told it anything. */
  readonly policy: OutboundPolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** Tells people that a sidecar lets connections pass by the mesh, until its first configuration. */
export class FailOpen {
  readonly #parts: FailOpenParts;
  readonly #sinceMs: number;
  #told = false;

  constructor(parts: FailOpenParts) {
    this.#parts = parts;
    this.#sinceMs = parts.clock.monotonic();
    const { metrics, policy } = parts;
    const gauge = metrics.gauge(
      "tulle_fail_open",
      "1 while redirected connections pass by the mesh because there has never been a configuration.",
    );
    metrics.onCollect(() => gauge.with([]).set(policy.failsOpen ? 1 : 0));
  }

  get active(): boolean {
    return this.#parts.policy.failsOpen;
  }

  /** Says at once that it is open. */
  announce(): void {
    if (!this.active) return;
    this.#told = true;
    this.#parts.logger.warn(
      "FAIL OPEN: there is no configuration yet, and redirected connections go to where they were made to, past the mesh",
    );
  }

  /** Something has come; says when it is open no longer. Returns whether that was now. */
  check(): boolean {
    if (!this.#told || this.active) return false;
    this.#told = false;
    const { clock, logger } = this.#parts;
    const openMs = Math.round(clock.monotonic() - this.#sinceMs);
    logger.warn("fail open is over: the mesh's configuration holds from now on", { openMs });
    return true;
  }
}
