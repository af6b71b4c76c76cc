import { MeshError, type Clock, type Disposable, type Timer } from "@tulle/base";
import type { AskingProbe, CheckDefinition, CheckStatus } from "../definition.js";
import type { Probe, ProbeResult } from "./probe.js";
import type { Slots } from "./slots.js";
import { Thresholds } from "./thresholds.js";

export interface PeriodicCheckOptions {
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly definition: CheckDefinition;
  readonly target: AskingProbe;
  readonly probe: Probe;
  readonly slots: Slots;
  /** `status` undefined: only the output is new. */
  readonly report: (status: CheckStatus | undefined, output: string) => void;
}

/** The first run comes within this, so that the checks of a restart do not all run in the same millisecond. */
const MAX_FIRST_DELAY_MS = 100;

/** Runs a probe every interval until disposed. A run that is not done yet delays the next one. */
export class PeriodicCheck implements Disposable {
  readonly #options: PeriodicCheckOptions;
  readonly #thresholds: Thresholds;
  #timer: Timer;
  #abort: AbortController | undefined;
  #deadline: Timer | undefined;
  #giveUpWaiting: (() => void) | undefined;
  #disposed = false;

  constructor(options: PeriodicCheckOptions) {
    this.#options = options;
    this.#thresholds = new Thresholds(options.definition);
    const spread = Math.min(MAX_FIRST_DELAY_MS, options.definition.intervalMs);
    this.#timer = this.#later(options.random() * spread);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer[Symbol.dispose]();
    this.#giveUpWaiting?.();
    this.#deadline?.[Symbol.dispose]();
    this.#abort?.abort();
  }

  #later(delayMs: number): Timer {
    const { clock, slots } = this.#options;
    return clock.setTimeout(
      () => {
        this.#giveUpWaiting = slots.take((release) => void this.#run().finally(release));
      },
      delayMs,
      { keepAlive: false },
    );
  }

  async #run(): Promise<void> {
    const { clock, definition } = this.#options;
    const startedMs = clock.monotonic();
    const { status, output } = await this.#probeOnce();
    // Not a word after disposal: the check may be another's by now.
    if (this.#disposed) return;
    this.#options.report(this.#thresholds.next(status), output);
    // The report may have led to this check's removal. The type checker cannot see that.
    if (this.#disposed as boolean) return;
    this.#timer = this.#later(Math.max(definition.intervalMs - (clock.monotonic() - startedMs), 0));
  }

  async #probeOnce(): Promise<ProbeResult> {
    const { clock, definition, target, probe } = this.#options;
    const abort = new AbortController();
    this.#abort = abort;
    let timedOut = false;
    this.#deadline = clock.setTimeout(
      () => {
        timedOut = true;
        abort.abort();
      },
      definition.timeoutMs,
      { keepAlive: false },
    );
    try {
      const result = await probe(target, definition.outputMaxBytes, abort.signal);
      if (!timedOut) return result;
      const asked = target.kind === "http" ? target.url : `${target.host}:${target.port}`;
      return { status: "critical", output: `${asked} did not answer within ${definition.timeoutMs} ms` };
    } catch (thrown) {
      return { status: "critical", output: MeshError.from(thrown).message };
    } finally {
      this.#deadline[Symbol.dispose]();
      this.#abort = undefined;
    }
  }
}
