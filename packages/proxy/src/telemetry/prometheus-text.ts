import { Histogram, type Labels, type MetricsRegistry } from "./metrics.js";

/** Content type of {@link prometheusText}: text exposition format 0.0.4. */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Every metric of `registry` in Prometheus' text exposition format. */
export function prometheusText(registry: MetricsRegistry): string {
  let text = "";
  let current = "";
  for (const { name, help, type, labels, instrument } of registry.series()) {
    if (name !== current) {
      text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
      current = name;
    }
    if (instrument instanceof Histogram) text += histogramText(name, labels, instrument);
    else text += `${name}${labelText(labels)} ${number(instrument.value)}\n`;
  }
  return text;
}

function histogramText(name: string, labels: Labels, histogram: Histogram): string {
  let text = "";
  let cumulative = 0;
  for (let i = 0; i < histogram.counts.length; i++) {
    cumulative += histogram.counts[i] ?? 0;
    const bound = histogram.bounds[i];
    text += `${name}_bucket${labelText([...labels, "le", bound === undefined ? "+Inf" : number(bound)])} ${cumulative}\n`;
  }
  const suffix = labelText(labels);
  return `${text}${name}_sum${suffix} ${number(histogram.sum)}\n${name}_count${suffix} ${cumulative}\n`;
}

/** `{a="b",c="d"}`, or nothing without labels. */
export function labelText(labels: Labels): string {
  if (labels.length === 0) return "";
  let text = "{";
  for (let i = 0; i + 1 < labels.length; i += 2) {
    if (i > 0) text += ",";
    text += `${labels[i]}="${escapeValue(labels[i + 1] ?? "")}"`;
  }
  return `${text}}`;
}

function escapeValue(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
    : value;
}

function escapeHelp(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function number(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "NaN";
}
