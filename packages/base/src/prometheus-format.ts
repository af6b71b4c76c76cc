// The pieces of Prometheus' text exposition format 0.0.4:
// https://prometheus.io/docs/instrumenting/exposition_formats/

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The two comment lines that begin a metric. */
export function metricHead(name: string, help: string, type: string): string {
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
}

/** `{a="b",c="d"}` of `[name, value, …]`, or nothing without labels. */
export function labelText(labels: readonly string[]): string {
  if (labels.length === 0) return "";
  let text = "{";
  for (let i = 0; i + 1 < labels.length; i += 2) {
    if (i > 0) text += ",";
    text += `${labels[i]}="${escapeValue(labels[i + 1] ?? "")}"`;
  }
  return `${text}}`;
}

/** A sample's value or a bucket's bound. */
export function metricNumber(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "NaN";
}

function escapeValue(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
    : value;
}

function escapeHelp(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
