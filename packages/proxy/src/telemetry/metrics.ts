/** Label names and values in order: `["code", "200", "reporter", "source"]`. */
export type Labels = readonly string[];

/** A number that only grows. Whoever holds it increments it directly: no lookup per event. */
export class Counter {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

/** A number that goes up and down. */
export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  add(by: number): void {
    this.value += by;
  }
}

/** Counts observations per bucket; `le` bounds are inclusive upper limits. */
export class Histogram {
  readonly bounds: readonly number[];
  /** Per bucket, not cumulative; the last one is above every bound. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.bounds;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= (bounds[middle] as number)) high = middle;
      else low = middle + 1;
    }
    this.counts[low] = (this.counts[low] as number) + 1;
    this.sum += value;
  }

  get count(): number {
    let total = 0;
    for (const count of this.counts) total += count;
    return total;
  }
}

type Instrument = Counter | Gauge | Histogram;

/** All series of one metric name. */
export interface Family<T extends Instrument = Instrument> {
  /** The series with these labels, made at first use. Past the family's limit every new label set shares one series. */
  with(labels: Labels): T;
  readonly size: number;
}

class InstrumentFamily<T extends Instrument> implements Family<T> {
  readonly series = new Map<string, { labels: Labels; instrument: T }>();
  #overflow: T | undefined;
  readonly #create: () => T;
  readonly #maxSeries: number;
  readonly #onOverflow: () => void;

  constructor(create: () => T, maxSeries: number, onOverflow: () => void) {
    this.#create = create;
    this.#maxSeries = maxSeries;
    this.#onOverflow = onOverflow;
  }

  get size(): number {
    return this.series.size;
  }

  with(labels: Labels): T {
    const key = labels.join("\u0000");
    const known = this.series.get(key);
    if (known !== undefined) return known.instrument;
    if (this.series.size >= this.#maxSeries) {
      this.#onOverflow();
      if (this.#overflow === undefined) {
        this.#overflow = this.#create();
        const blank = labels.map((part, i) => (i % 2 === 0 ? part : "overflow"));
        this.series.set("\u0000overflow", { labels: blank, instrument: this.#overflow });
      }
      return this.#overflow;
    }
    const instrument = this.#create();
    this.series.set(key, { labels, instrument });
    return instrument;
  }
}

interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly family: InstrumentFamily<Instrument>;
}

/** Named metrics of a process. */
export class MetricsRegistry {
  readonly #metrics = new Map<string, Described>();
  readonly #collectors: (() => void)[] = [];
  readonly #maxSeries: number;
  /** Label sets that found their metric full. */
  readonly #overflows: Counter;

  /** `maxSeries` bounds the label sets of one metric, so that hostile input cannot fill the memory. */
  constructor(maxSeries = 5000) {
    this.#maxSeries = maxSeries;
    this.#overflows = this.counter(
      "tulle_metrics_overflow_total",
      "Label sets that were folded into an overflow series because their metric has too many.",
    ).with([]);
  }

  counter(name: string, help: string): Family<Counter> {
    return this.#family(name, help, "counter", () => new Counter());
  }

  gauge(name: string, help: string): Family<Gauge> {
    return this.#family(name, help, "gauge", () => new Gauge());
  }

  histogram(name: string, help: string, bounds: readonly number[]): Family<Histogram> {
    return this.#family(name, help, "histogram", () => new Histogram(bounds));
  }

  /** Calls `collect` before every scrape: for gauges that mirror something. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect);
  }

  /** Every series as name, labels, instrument; for text formats and tests. */
  *series(): Generator<{ name: string; help: string; type: string; labels: Labels; instrument: Instrument }> {
    for (const collect of this.#collectors) collect();
    for (const { name, help, type, family } of this.#metrics.values()) {
      for (const { labels, instrument } of family.series.values())
        yield { name, help, type, labels, instrument };
    }
  }

  #family<T extends Instrument>(
    name: string,
    help: string,
    type: Described["type"],
    create: () => T,
  ): Family<T> {
    const known = this.#metrics.get(name);
    if (known !== undefined) return known.family as unknown as Family<T>;
    const family = new InstrumentFamily(create, this.#maxSeries, () => this.#overflows.inc());
    this.#metrics.set(name, { name, help, type, family });
    return family;
  }
}
