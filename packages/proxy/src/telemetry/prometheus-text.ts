import { labelText, metricHead, metricNumber } from "@tulle/base";

import { Histogram, type Labels, type MetricsRegistry } from "./metrics.js";

/** Every metric of `registry` in Prometheus' text exposition format 0.0.4. */
export function prometheusText(registry: MetricsRegistry): string {
  let text = "";
  let current = "";
  for (const { name, help, type, labels, instrument } of registry.series()) {
    if (name !== current) {
      text += metricHead(name, help, type);
      current = name;
    }
    if (instrument instanceof Histogram) text += histogramText(name, labels, instrument);
    else text += `${name}${labelText(labels)} ${metricNumber(instrument.value)}\n`;
  }
  return text;
}

function histogramText(name: string, labels: Labels, histogram: Histogram): string {
  let text = "";
  let cumulative = 0;
  for (let i = 0; i < histogram.counts.length; i++) {
    cumulative += histogram.counts[i] ?? 0;
    const bound = histogram.bounds[i];
    text += `${name}_bucket${labelText([...labels, "le", bound === undefined ? "+Inf" : metricNumber(bound)])} ${cumulative}\n`;
  }
  const suffix = labelText(labels);
  return `${text}${name}_sum${suffix} ${metricNumber(histogram.sum)}\n${name}_count${suffix} ${cumulative}\n`;
}
