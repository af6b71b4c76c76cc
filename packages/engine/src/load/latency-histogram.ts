/** Buckets for each doubling: neighbours differ by 2.2 %. */
const PER_OCTAVE = 32;
/** From about a microsecond to about an hour. */
const LOWEST_OCTAVE = -10;
const OCTAVES = 32;
const BUCKETS = OCTAVES * PER_OCTAVE;

/** Times by how long they are, in buckets that widen with them: what a percentile costs does not depend on their number. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(ms: number): void {
    this.#counts[bucketOf(ms)]!++;
    this.#total++;
  }

  clear(): void {
    if (this.#total === 0) return;
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** The time that a `share` (0 to 1) of all times is not above, milliseconds; 0 without any. */
  percentile(share: number): number {
    if (this.#total === 0) return 0;
    const wanted = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen >= wanted) return middleOf(bucket);
    }
    return middleOf(BUCKETS - 1);
  }
}

function bucketOf(ms: number): number {
  const bucket = Math.floor((Math.log2(Math.max(ms, Number.MIN_VALUE)) - LOWEST_OCTAVE) * PER_OCTAVE);
  return Math.min(BUCKETS - 1, Math.max(0, bucket));
}

function middleOf(bucket: number): number {
  return 2 ** ((bucket + 0.5) / PER_OCTAVE + LOWEST_OCTAVE);
}
