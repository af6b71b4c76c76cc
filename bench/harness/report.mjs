import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";

/** The middle of `values`; the mean of the two middle ones when their count is even. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The value below which a share of `sorted` lies: of all samples together, for percentiles cannot be averaged. */
export function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

/** What every published figure must say about the machine. */
export function machine() {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? "unknown CPU",
    cpus: all.length,
    kernel: release(),
    distribution: distribution(),
    node: process.version,
    openssl: process.versions.openssl,
  };
}

/** One line about the machine. */
export function machineLine({ cpu, cpus: count, kernel, distribution: system, node, openssl }, { pinned }) {
  const pinning = pinned ? "origin and load on CPU 1, proxies on CPU 0" : "not pinned";
  return `${cpu}, ${count} CPUs, Linux ${kernel}, ${system}, Node.js ${node} (OpenSSL ${openssl}); ${pinning}.`;
}

/**
 * A scenario's result as Markdown. `columns`: `{title, cell(row)}`; `rows`: `{peer: {name, version}, …}`, raw values for
 * JSON; `notes`: sentences below the table.
 */
export function markdown({ title, columns, rows, notes, skipped }) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    `**${title}**`,
    "",
    line(["proxy", ...columns.map((column) => column.title)]),
    line(["---", ...columns.map(() => "---")]),
    ...rows.map((row) =>
      line([`${row.peer.name} ${row.peer.version}`.trim(), ...columns.map((column) => column.cell(row))]),
    ),
    ...notes.flatMap((note) => ["", note]),
    ...skipped.flatMap(({ peer, reason }) => ["", `Skipped: ${peer}: ${reason}`]),
  ].join("\n");
}

/** Microseconds in the unit that reads best. */
export function duration(us) {
  return us < 1000 ? `${Math.round(us)} µs` : `${(us / 1000).toFixed(2)} ms`;
}

/** Bytes in MiB; "–" for none. */
export function mebibytes(bytes) {
  return bytes === 0 ? "–" : `${(bytes / 1_048_576).toFixed(bytes < 10_485_760 ? 1 : 0)} MiB`;
}

/** `12.3 (12.0–12.9)`: the median of the rounds, the lowest and the highest. */
export function spread(values, digits = 1) {
  const text = (value) => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}

/** The value of each round. */
export function each(runs, name) {
  return runs.map((run) => run[name]);
}

function distribution() {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
