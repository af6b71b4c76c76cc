import fc from "fast-check";
import { expect, test } from "vitest";

import { MetricsDeltas, MetricsSums } from "./metrics-delta.js";
import { MetricsRegistry } from "./metrics.js";
import { prometheusText } from "./prometheus-text.js";

const BOUNDS = [1, 10];

/** One thing that a registry counts. */
const event = fc.record({
  thread: fc.integer({ min: 0, max: 2 }),
  kind: fc.constantFrom("counter", "gauge", "histogram", "scrape" as const),
  label: fc.constantFrom("a", "b"),
  value: fc.integer({ min: 0, max: 20 }),
});

test("sums over threads equal what one registry would have counted, whenever they are asked", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const [alone, sum] = [new MetricsRegistry(), new MetricsRegistry()];
      const threads = [0, 1, 2].map(() => {
        const registry = new MetricsRegistry();
        return { registry, deltas: new MetricsDeltas(registry), sums: new MetricsSums(sum) };
      });
      for (const { thread, kind, label, value } of events) {
        const { registry, deltas, sums } = threads[thread]!;
        if (kind === "scrape") sums.add(structuredClone(deltas.take()));
        for (const each of [alone, registry]) {
          const labels = ["label", label];
          if (kind === "counter") each.counter("c", "counts").with(labels).inc(value);
          if (kind === "gauge")
            each
              .gauge("g", "goes")
              .with(labels)
              .add(10 - value);
          if (kind === "histogram") each.histogram("h", "has", BOUNDS).with(labels).observe(value);
        }
      }
      for (const { deltas, sums } of threads) sums.add(structuredClone(deltas.take()));
      expect(lines(sum)).toEqual(lines(alone));
    }),
  );
});

test("what has not changed is not told again", () => {
  const registry = new MetricsRegistry();
  registry.counter("c", "counts").with([]).inc();
  const deltas = new MetricsDeltas(registry);
  expect(deltas.take().added.map(({ name }) => name)).toEqual(["tulle_metrics_overflow_total", "c"]);
  expect(deltas.take()).toEqual({ added: [], changed: new Uint32Array(), growth: new Float64Array() });
  registry.counter("c", "counts").with([]).inc(2);
  expect(deltas.take()).toMatchObject({ changed: Uint32Array.of(1), growth: Float64Array.of(2) });
});

function lines(registry: MetricsRegistry): string[] {
  return prometheusText(registry).split("\n").sort();
}
