import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { percentile } from "./report.mjs";
import { pinned } from "./spawned.mjs";

const run = promisify(execFile);

/**
 * One closed-loop run of h2load with one thread: gRPC calls with the message in the file `data`. Latencies in
 * microseconds, of every call. Throws when a call failed.
 */
export async function h2load(url, { connections, streams, seconds, data, cpu, directory }) {
  const log = join(directory, "h2load.log");
  const args = [
    "-t1",
    `-c${connections}`,
    `-m${streams}`,
    `-D${seconds}`,
    "--warm-up-time=1",
    `--log-file=${log}`,
    "-d",
    data,
    "-H",
    "content-type: application/grpc",
    "-H",
    "te: trailers",
    url,
  ];
  rmSync(log, { force: true });
  const { stdout } = await run(...pinned("h2load", args, cpu));
  const { requests, requestsPerSecond } = parseH2load(stdout);
  const latencies = Float64Array.from(readFileSync(log, "utf8").trimEnd().split("\n"), (line) =>
    Number(line.split("\t")[2]),
  ).sort();
  return {
    requests,
    requestsPerSecond,
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
  };
}

/** Reads what h2load prints. */
export function parseH2load(text) {
  const counts =
    /requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/;
  const [, succeeded, ...bad] = (counts.exec(text) ?? []).map(Number);
  const requestsPerSecond = Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(text)?.[1]);
  if (!(succeeded > 0) || !(requestsPerSecond > 0))
    throw new Error(`h2load printed something unexpected:\n${text}`);
  const failed = bad.reduce((sum, each) => sum + each, 0);
  if (failed > 0) throw new Error(`${failed} calls failed`);
  return { requests: succeeded, requestsPerSecond };
}
