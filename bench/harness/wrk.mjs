import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { pinned } from "./spawned.mjs";

const run = promisify(execFile);
const UNITS = { us: 1, ms: 1000, s: 1_000_000, m: 60_000_000 };

/**
 * One closed-loop run of wrk with one thread. Latencies in microseconds. Throws when a response was not 2xx or a
 * connection failed: a proxy that answers errors is fast.
 */
export async function wrk(url, { connections, seconds, cpu }) {
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", url];
  const { stdout } = await run(...pinned("wrk", args, cpu));
  return parseWrk(stdout);
}

/** Reads what wrk prints. */
export function parseWrk(text) {
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const failed = number(/Non-2xx or 3xx responses: (\d+)/);
  if (failed > 0) throw new Error(`${failed} responses were not 2xx`);
  const errors = /Socket errors: (.*)/.exec(text)?.[1];
  if (errors !== undefined && /[1-9]/.test(errors)) throw new Error(`socket errors: ${errors}`);
  const result = {
    requests: number(/(\d+) requests in/),
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Us: latency(text, "50"),
    p99Us: latency(text, "99"),
  };
  if (Object.values(result).some((value) => !(value > 0)))
    throw new Error(`wrk printed something unexpected:\n${text}`);
  return result;
}

function latency(text, percentile) {
  const match = new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s|m)$`, "m").exec(text);
  return match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]];
}
