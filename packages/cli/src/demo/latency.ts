import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** Latencies of one edge over a sliding window: quantiles of the last one to two `rotate` periods. */
export class LatencyWindow {
  #current: RecordableHistogram = createHistogram();
  #previous: RecordableHistogram = createHistogram();

  /** Milliseconds. */
  record(ms: number): void {
    this.#current.record(Math.max(1, Math.round(ms * 1000)));
  }

  rotate(): void {
    this.#previous = this.#current;
    this.#current = createHistogram();
  }

  /** Milliseconds at percentile `p` (0 to 100), or undefined without observations. */
  percentile(p: number): number | undefined {
    const both = createHistogram();
    both.add(this.#previous);
    both.add(this.#current);
    return both.count === 0 ? undefined : both.percentile(p) / 1000;
  }
}
