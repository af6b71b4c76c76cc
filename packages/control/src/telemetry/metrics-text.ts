/** One sample: labels as `[name, value, …]`, written as they are given. */
export interface MetricSample {
  readonly suffix?: "_bucket" | "_sum" | "_count";
  readonly labels?: readonly string[];
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly MetricSample[];
}

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Prometheus' text format 0.0.4. Label values are ours (types, versions), never a user's.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function metricsText(families: readonly MetricFamily[]): string {
  return families
    .map(({ name, help, type, samples }) => {
      const lines = samples.map(
        ({ suffix = "", labels = [], value }) => `${name}${suffix}${labelText(labels)} ${value}`,
      );
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("\n")}\n`;
    })
    .join("");
}

function labelText(labels: readonly string[]): string {
  const pairs: string[] = [];
  for (let i = 0; i + 1 < labels.length; i += 2) pairs.push(`${labels[i]}=${JSON.stringify(labels[i + 1])}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
