import { expect, test } from "vitest";

import { MetricsRegistry } from "./metrics.js";
import { prometheusText } from "./prometheus-text.js";

test("prometheusText prints counters, gauges and cumulative histograms", () => {
  const registry = new MetricsRegistry();
  registry.counter("a_total", "All of a.").with(["x", 'q"\\\n']).inc(3);
  registry.gauge("b", "Some b.").with([]).set(-1.5);
  const histogram = registry.histogram("c_ms", "Durations.", [1, 5, 10]).with(["k", "v"]);
  for (const value of [0.5, 1, 4, 11]) histogram.observe(value);
  expect(prometheusText(registry)).toBe(
    `# HELP tulle_metrics_overflow_total Label sets that were folded into an overflow series because their metric has too many.
# TYPE tulle_metrics_overflow_total counter
tulle_metrics_overflow_total 0
# HELP a_total All of a.
# TYPE a_total counter
a_total{x="q\\"\\\\\\n"} 3
# HELP b Some b.
# TYPE b gauge
b -1.5
# HELP c_ms Durations.
# TYPE c_ms histogram
c_ms_bucket{k="v",le="1"} 2
c_ms_bucket{k="v",le="5"} 3
c_ms_bucket{k="v",le="10"} 3
c_ms_bucket{k="v",le="+Inf"} 4
c_ms_sum{k="v"} 16.5
c_ms_count{k="v"} 4
`,
  );
});

test("H1-30 Family folds label sets past its limit into one series and counts them", () => {
  const registry = new MetricsRegistry(2);
  const family = registry.counter("a_total", "a");
  for (let i = 0; i < 10; i++) family.with(["id", String(i)]).inc();
  expect(family.size).toBe(3);
  const text = prometheusText(registry);
  expect(text).toContain('a_total{id="overflow"} 8');
  expect(text).toContain("tulle_metrics_overflow_total 8");
});
