import { type Clock, type Disposable } from "@tulle/base";
import type { CheckDefinition, CheckStatus } from "../definition.js";
import { PeriodicCheck } from "./periodic-check.js";
import type { Probe } from "./probe.js";
import { Slots } from "./slots.js";
import { TtlCheck } from "./ttl-check.js";

export interface CheckRunnersOptions {
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly probe: Probe;
  /** Probes under way at once. */
  readonly maxConcurrent: number;
  /** A result: `status` undefined when it stays as it is; `silent`: nothing was heard in time. */
  readonly report: (key: string, status: CheckStatus | undefined, output: string, silent?: boolean) => void;
}

/** The running checks, by a key of the caller's. */
export class CheckRunners implements Disposable {
  readonly #options: CheckRunnersOptions;
  readonly #slots: Slots;
  readonly #running = new Map<
    string,
    { readonly definition: CheckDefinition; readonly runner: Disposable }
  >();

  constructor(options: CheckRunnersOptions) {
    this.#options = options;
    this.#slots = new Slots(options.maxConcurrent);
  }

  /** Starts a check. One that runs already with the same definition goes on undisturbed. */
  start(key: string, definition: CheckDefinition): void {
    const running = this.#running.get(key);
    if (running !== undefined) {
      if (JSON.stringify(running.definition) === JSON.stringify(definition)) return;
      this.stop(key);
    }
    const runner = this.#create(key, definition);
    if (runner !== undefined) this.#running.set(key, { definition, runner });
  }

  stop(key: string): void {
    this.#running.get(key)?.runner[Symbol.dispose]();
    this.#running.delete(key);
  }

  /** Restarts the time of a TTL check, if it is one and runs. */
  beat(key: string): void {
    const runner = this.#running.get(key)?.runner;
    if (runner instanceof TtlCheck) runner.beat();
  }

  [Symbol.dispose](): void {
    for (const key of this.#running.keys()) this.stop(key);
  }

  #create(key: string, definition: CheckDefinition): Disposable | undefined {
    const { clock, random, probe, report } = this.#options;
    const target = definition.probe;
    switch (target.kind) {
      case "none":
      case "alias":
        return undefined;
      case "ttl":
        return new TtlCheck(clock, target.ttlMs, () =>
          report(key, "critical", `no word from the application for its TTL of ${target.ttlMs} ms`, true),
        );
      default:
        return new PeriodicCheck({
          clock,
          random,
          definition,
          target,
          probe,
          slots: this.#slots,
          report: (status, output) => report(key, status, output),
        });
    }
  }
}
