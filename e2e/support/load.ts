import { systemClock } from "@tulle/base";

import { startLoad, type Sample } from "../../packages/cli/src/demo/load.js";

export interface LoadOptions {
  /** Names the line that is printed. */
  readonly name: string;
  readonly url: string;
  readonly requestsPerSecond: number;
}

/** What came of a load. */
export interface LoadResult {
  readonly requests: number;
  readonly failures: number;
  /** The first failures in words. */
  readonly errors: readonly string[];
  /** Answers by instance. */
  readonly instances: ReadonlyMap<string, number>;
}

const MAX_ERRORS = 5;

/** Sends GETs at a steady rate while `during` runs, waits for the last answers and prints one line about them. */
export async function underLoad(options: LoadOptions, during: () => Promise<void>): Promise<LoadResult> {
  const latencies: number[] = [];
  const errors: string[] = [];
  const instances = new Map<string, number>();
  let failures = 0;
  const startedAt = systemClock.monotonic();
  const load = startLoad({
    url: options.url,
    requestsPerSecond: options.requestsPerSecond,
    askedShare: 0,
    clock: systemClock,
    onSample: (sample) => {
      latencies.push(sample.latencyMs);
      instances.set(sample.instance, (instances.get(sample.instance) ?? 0) + 1);
      if (sample.status === 200) return;
      failures++;
      if (errors.length < MAX_ERRORS) errors.push(describe(sample, sample.sentAt - startedAt));
    },
  });
  try {
    await during();
  } finally {
    load[Symbol.dispose]();
    await load.idle();
  }
  const seconds = (systemClock.monotonic() - startedAt) / 1000;
  latencies.sort((left, right) => left - right);
  const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1);
  const spread = [...instances].map(([instance, count]) => `${instance || "none"}=${count}`).join(" ");
  report(
    options.name,
    `${latencies.length} requests, ${failures} failed, ${(latencies.length / seconds).toFixed(0)}/s, ` +
      `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(0.999999)} ms, ${spread}`,
  );
  return { requests: latencies.length, failures, errors, instances };
}

/** Prints one line of figures. */
export function report(name: string, figures: string): void {
  process.stdout.write(`[e2e] ${name}: ${figures}\n`);
}

/** Resolves after `ms`: for letting a load go on. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function describe(sample: Sample, afterMs: number): string {
  const what = sample.status === 0 ? "no answer" : `status ${sample.status}`;
  return `${what} after ${sample.latencyMs.toFixed(0)} ms, sent at ${afterMs.toFixed(0)} ms: ${sample.error.trim()}`;
}
