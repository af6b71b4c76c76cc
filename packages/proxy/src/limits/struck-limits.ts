import type { Clock, Logger } from "@tulle/base";

import type { MetricsRegistry } from "../telemetry/metrics.js";
import { definitionOf, type LimitName } from "./limit-table.js";

/** A limit is logged once in so many milliseconds, however often it is reached: a flood must not become one of lines. */
const LOG_EVERY_MS = 10_000;

/** Counts what limits refuse, and says in the log which one it was and how to change it. */
export class StruckLimits {
  readonly #counter;
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By limit: when it was logged last, and how often it was reached since. */
  readonly #logged = new Map<LimitName, { atMs: number; since: number }>();

  constructor(metrics: MetricsRegistry, logger: Logger, clock: Clock) {
    this.#counter = metrics.counter(
      "tulle_limit_exceeded_total",
      "What limits refused or delayed, by limit (docs/limits.md).",
    );
    this.#logger = logger;
    this.#clock = clock;
  }

  /** `value`: of the limit, where it was reached; `remote`: by whom, `host:port`. */
  strike(name: LimitName, value: number, remote: string): void {
    this.#counter.with(["limit", name]).inc();
    if (definitionOf(name).quiet === true) return;
    const nowMs = this.#clock.monotonic();
    const last = this.#logged.get(name);
    if (last !== undefined && nowMs - last.atMs < LOG_EVERY_MS) {
      last.since++;
      return;
    }
    this.#logger.warn("a limit was reached", {
      limit: name,
      value,
      remote,
      ...(last === undefined || last.since === 0 ? {} : { more: last.since }),
      change: `--limit ${name}=<${definitionOf(name).unit}>`,
    });
    this.#logged.set(name, { atMs: nowMs, since: 0 });
  }
}
