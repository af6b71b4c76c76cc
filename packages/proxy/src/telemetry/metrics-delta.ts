import { Histogram, type Counter, type Gauge, type Labels, type MetricsRegistry } from "./metrics.js";

/** A series, told once: it is known by its place among all series that were told. */
export interface SeriesDescription {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labels: Labels;
  /** Of a histogram; empty for everything else. */
  readonly bounds: readonly number[];
}

/** What has been counted since the last time. Plain data. */
export interface MetricsDelta {
  readonly added: readonly SeriesDescription[];
  /** Places of the series that changed. */
  readonly changed: Uint32Array;
  /** For each of them: what it grew by; a histogram's buckets in their order, then its sum. */
  readonly growth: Float64Array;
}

type Instrument = Counter | Gauge | Histogram;

interface Told {
  readonly place: number;
  /** Values as they were told last. */
  readonly values: Float64Array;
}

/** Says what a registry has counted since it was asked last. */
export class MetricsDeltas {
  readonly #registry: MetricsRegistry;
  readonly #told = new Map<Instrument, Told>();

  constructor(registry: MetricsRegistry) {
    this.#registry = registry;
  }

  take(): MetricsDelta {
    const added: SeriesDescription[] = [];
    const changed: number[] = [];
    const growth: number[] = [];
    for (const { instrument, ...series } of this.#registry.series()) {
      let told = this.#told.get(instrument);
      if (told === undefined) {
        const bounds = instrument instanceof Histogram ? instrument.bounds : [];
        const size = instrument instanceof Histogram ? bounds.length + 2 : 1;
        told = { place: this.#told.size, values: new Float64Array(size) };
        this.#told.set(instrument, told);
        added.push({ ...series, bounds });
      }
      const { values } = told;
      if (!differs(instrument, values)) continue;
      changed.push(told.place);
      for (let i = 0; i < values.length; i++) {
        const value = valueAt(instrument, i);
        growth.push(value - values[i]!);
        values[i] = value;
      }
    }
    return { added, changed: Uint32Array.from(changed), growth: Float64Array.from(growth) };
  }
}

/** Adds what another registry has counted to one that holds the sums. */
export class MetricsSums {
  readonly #registry: MetricsRegistry;
  readonly #series: Instrument[] = [];

  constructor(registry: MetricsRegistry) {
    this.#registry = registry;
  }

  add({ added, changed, growth }: MetricsDelta): void {
    for (const series of added) this.#series.push(this.#instrument(series));
    let at = 0;
    for (const place of changed) {
      const instrument = this.#series[place]!;
      if (instrument instanceof Histogram) {
        for (let i = 0; i < instrument.counts.length; i++) instrument.counts[i]! += growth[at++]!;
        instrument.sum += growth[at++]!;
      } else {
        instrument.value += growth[at++]!;
      }
    }
  }

  #instrument({ name, help, type, labels, bounds }: SeriesDescription): Instrument {
    switch (type) {
      case "counter":
        return this.#registry.counter(name, help).with(labels);
      case "gauge":
        return this.#registry.gauge(name, help).with(labels);
      default:
        return this.#registry.histogram(name, help, bounds).with(labels);
    }
  }
}

function differs(instrument: Instrument, values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) if (valueAt(instrument, i) !== values[i]) return true;
  return false;
}

function valueAt(instrument: Instrument, index: number): number {
  if (!(instrument instanceof Histogram)) return instrument.value;
  return index < instrument.counts.length ? instrument.counts[index]! : instrument.sum;
}
