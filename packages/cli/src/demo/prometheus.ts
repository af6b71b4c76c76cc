export interface PrometheusSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/**
 * Reads the samples of Prometheus' text format 0.0.4; lines that are none are passed over.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function* parsePrometheus(text: string): Generator<PrometheusSample> {
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const sample = parseSample(line);
    if (sample !== undefined) yield sample;
  }
}

function parseSample(line: string): PrometheusSample | undefined {
  const open = line.indexOf("{");
  const close = open === -1 ? -1 : line.lastIndexOf("}");
  const space = line.indexOf(" ");
  const name = line.slice(0, open === -1 ? space : open);
  const rest = line.slice(open === -1 ? space + 1 : close + 1).trim();
  const value = Number((rest.split(" ")[0] ?? "").replace("Inf", "Infinity"));
  if (!/^[A-Za-z_:][\w:]*$/.test(name) || Number.isNaN(value)) return undefined;
  return { name, labels: parseLabels(open === -1 ? "" : line.slice(open + 1, close)), value };
}

const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)",?/y;

function parseLabels(text: string): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const match = LABEL.exec(text);
    if (match === null) break;
    const value = (match[2] ?? "").replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
    labels.set(match[1] ?? "", value);
  }
  return labels;
}
