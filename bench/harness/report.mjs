import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";

/** The middle of `values`; the mean of the two middle ones when their count is even. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
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

/** Runs of one peer → one row: medians over the rounds, and the spread of the figure that is quoted. */
export function summarise(peer, runs) {
  const of = (name) => runs.map((run) => run[name]);
  return {
    scenario: peer.scenario,
    peer: peer.name,
    version: peer.version,
    rounds: runs.length,
    cpuUsPerRequest: median(of("cpuUsPerRequest")),
    cpuUsPerRequestMin: Math.min(...of("cpuUsPerRequest")),
    cpuUsPerRequestMax: Math.max(...of("cpuUsPerRequest")),
    requestsPerSecond: median(of("requestsPerSecond")),
    p50Us: median(of("p50Us")),
    p99Us: median(of("p99Us")),
    singleP50Us: median(of("singleP50Us")),
    rssBytes: Math.max(...of("rssBytes")),
  };
}

/** One Markdown table of all scenarios, with the machine above it. */
export function markdown(rows, skipped, settings, { cpu, cpus, kernel, distribution, node, openssl }) {
  const pinning = settings.pinned ? "origin and load on CPU 1, proxies on CPU 0" : "not pinned";
  const lines = [
    `${cpu}, ${cpus} CPUs, Linux ${kernel}, ${distribution}, Node.js ${node} (OpenSSL ${openssl}); ${pinning}.`,
    `wrk, ${settings.connections} connections, ${settings.seconds} s a run, medians of ${settings.rounds} interleaved rounds, 78-byte bodies.`,
    "CPU = user and kernel time of the proxies only, divided by requests (in parentheses: lowest and highest round).",
    "",
    "| scenario | proxy | CPU-µs per request | requests per second | p50 | p99 | p50 at 1 connection | RSS |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...rows.map((row) =>
      [
        "",
        row.scenario,
        `${row.peer} ${row.version}`,
        row.cpuUsPerRequest === 0
          ? "–"
          : `${row.cpuUsPerRequest.toFixed(1)} (${row.cpuUsPerRequestMin.toFixed(1)}–${row.cpuUsPerRequestMax.toFixed(1)})`,
        Math.round(row.requestsPerSecond).toLocaleString("en"),
        duration(row.p50Us),
        duration(row.p99Us),
        duration(row.singleP50Us),
        row.rssBytes === 0 ? "–" : `${Math.round(row.rssBytes / 1_048_576)} MiB`,
        "",
      ]
        .join(" | ")
        .trim(),
    ),
    ...(skipped.length === 0
      ? []
      : ["", ...skipped.map((each) => `Skipped: ${each.scenario}, ${each.peer}: ${each.reason}`)]),
  ];
  return lines.join("\n");
}

function duration(us) {
  return us < 1000 ? `${Math.round(us)} µs` : `${(us / 1000).toFixed(2)} ms`;
}

function distribution() {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
