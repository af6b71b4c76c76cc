import { labelText, metricHead } from "@tulle/base";

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

/** Families in Prometheus' text exposition format 0.0.4. */
export function metricsText(families: readonly MetricFamily[]): string {
  return families
    .map(({ name, help, type, samples }) => {
      const lines = samples.map(
        ({ suffix = "", labels = [], value }) => `${name}${suffix}${labelText(labels)} ${value}`,
      );
      return `${metricHead(name, help, type)}${lines.join("\n")}\n`;
    })
    .join("");
}
