import { Histogram, type MetricsRegistry } from "../telemetry/metrics.js";

interface Stat {
  readonly name: string;
  readonly value: number;
}

/** Metrics as `name.label.value: number` lines; `filter` keeps names that contain it. */
export function statsText(registry: MetricsRegistry, filter: string): string {
  return stats(registry, filter)
    .map(({ name, value }) => `${name}: ${value}\n`)
    .join("");
}

/** Envoy's `/stats?format=json`, without histogram buckets. */
export function statsJson(registry: MetricsRegistry, filter: string): unknown {
  return { stats: stats(registry, filter) };
}

function stats(registry: MetricsRegistry, filter: string): Stat[] {
  const found: Stat[] = [];
  for (const { name, labels, instrument } of registry.series()) {
    const full = [name, ...labels].join(".");
    if (!full.includes(filter)) continue;
    if (instrument instanceof Histogram) {
      found.push(
        { name: `${full}.count`, value: instrument.count },
        { name: `${full}.sum`, value: instrument.sum },
      );
    } else {
      found.push({ name: full, value: instrument.value });
    }
  }
  return found.sort((left, right) => (left.name < right.name ? -1 : 1));
}
