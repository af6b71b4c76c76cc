#!/usr/bin/env node
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { duration, machine, machineLine, mebibytes, percentile } from "./harness/report.mjs";
import { usage } from "./harness/process-usage.mjs";
import { pinned, stopAll } from "./harness/spawned.mjs";
import { startOrigin } from "./peers/nginx.mjs";
import { tullePair } from "./peers/tulle.mjs";

/**
 * A sidecar that is asked for three times of what it can do: `npm run bench:overload`. First its capacity is found out, and
 * how quick it is at a tenth of that; then it gets three times of it, and right after that half. It is warm by then. It calls the service
 * through a second sidecar over mutual TLS, on the same CPU, so that one CPU of load is enough. It holds 256 MiB at most
 * where this process may make memory cgroups (version 1, as root).
 */
const USAGE = `usage: npm run bench:overload -- [--seconds N] [--times N] [--connections N] [--unprotected]

  --seconds      of each phase (10)
  --times        how much more than its capacity is offered (3)
  --connections  that it comes on (32): reading and writing each once a turn is most of what a refusal costs
  --unprotected  without the overload manager: the run must fail then
`;
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    times: { type: "string", default: "3" },
    connections: { type: "string", default: "32" },
    unprotected: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const SECONDS = Number(values.seconds);
const TIMES = Number(values.times);
const MEMORY_BYTES = 256 * 1024 * 1024;
const CONNECTIONS = Number(values.connections);
const RECOVERY_MS = 2000;
const LIMITS = values.unprotected
  ? ["overload.lagShedMs=60000", "overload.heapShedPercent=1000", "overload.memoryShedPercent=1000"]
  : ["overload.lagShedMs=3", "overload.lagSaturatedMs=50"];

const run = promisify(execFile);
const two = cpus().length >= 2;
const loadCpu = two ? 1 : undefined;
const directory = mkdtempSync(join(tmpdir(), "tulle-overload-"));
const group = `/sys/fs/cgroup/memory/tulle-overload-${process.pid}`;

try {
  process.exitCode = await main();
} finally {
  await stopAll();
  // The kernel lets a group go when the last process of it is gone.
  if (existsSync(group)) rmdirSync(group);
  rmSync(directory, { recursive: true, force: true });
}

async function main() {
  const context = {
    directory,
    proxyCpu: two ? 0 : undefined,
    loadCpu,
    sidecarArgs: LIMITS.flatMap((limit) => ["--limit", limit]),
  };
  const { port, pids } = await tullePair.start(context, await startOrigin(context));
  // The caller's sidecar is the one that the load comes to.
  const limited = limitMemory(pids.slice(0, 1));
  const url = `http://127.0.0.1:${port}/`;

  await load(url, { connections: 16, streams: 2, seconds: 3 });
  const cpuOf = async (phase) => {
    const before = usage(pids).cpuSeconds;
    const result = await phase();
    return { ...result, cpuSeconds: usage(pids).cpuSeconds - before };
  };
  const peak = await cpuOf(() => load(url, { connections: 16, streams: 2 }));
  const capacity = peak.good.length / SECONDS;
  // Refusing is warmed up as answering is.
  await load(url, { perSecond: capacity * TIMES, seconds: 3 });
  const calm = await load(url, { perSecond: capacity / 10 });
  const flood = await cpuOf(() => load(url, { perSecond: capacity * TIMES }));
  const after = await load(url, { perSecond: capacity / 2, seconds: 5 });

  const goodput = flood.good.length / SECONDS;
  const late = after.refusedAtMs.filter((at) => at > RECOVERY_MS).length;
  const memory = limited ? readMemory() : undefined;
  const calmP99 = percentile(calm.good, 0.99);
  const checks = [
    ["goodput of the peak, at least 80 %", percent(goodput / capacity), goodput >= 0.8 * capacity],
    ["p99 of what is refused, below 10 ms", time(flood.refused, 0.99), at(flood.refused, 0.99) < 10_000],
    [
      "p99 of what is answered, below 5 times the calm one",
      `${time(flood.good, 0.99)} / ${duration(calmP99)}`,
      at(flood.good, 0.99) < 5 * calmP99,
    ],
    [`refused later than ${RECOVERY_MS} ms after, none`, String(late), late === 0],
    ["refused otherwise than with 503, none", String(flood.other), flood.other === 0],
    [
      "killed for its memory, never",
      memory === undefined ? "not limited" : `${memory.kills} (at most ${mebibytes(memory.most)})`,
      memory === undefined || memory.kills === 0,
    ],
  ];
  console.log(machineLine(machine(), { pinned: two }));
  console.log(
    `capacity ${Math.round(capacity)}/s; offered ${Math.round(capacity * TIMES)}/s for ${SECONDS} s: ` +
      `${flood.good.length} answered, ${flood.refused.length} refused, ${flood.other} otherwise`,
  );
  const answerUs = (1e6 * peak.cpuSeconds) / peak.good.length;
  const refusalUs = (1e6 * flood.cpuSeconds - answerUs * flood.good.length) / flood.refused.length;
  console.log(`CPU: ${duration(answerUs)} an answer, ${duration(Math.max(0, refusalUs))} a refusal`);
  for (const [name, value, holds] of checks) console.log(`${holds ? "ok  " : "FAIL"} ${name}: ${value}`);
  // A run that offered less than it says proves nothing.
  const offered = (flood.good.length + flood.refused.length + flood.other) / SECONDS;
  if (offered < 0.8 * TIMES * capacity) {
    console.log(`FAIL only ${Math.round(offered)}/s were offered: the load generator was too slow`);
    return 1;
  }
  return checks.every(([, , holds]) => holds) ? 0 : 1;
}

/** One run of h2load: closed loop with `streams`, or `perSecond`. Latencies in microseconds, in order of size. */
async function load(
  url,
  {
    perSecond,
    connections = CONNECTIONS,
    streams = Math.max(100, Math.ceil(3200 / connections)),
    seconds = SECONDS,
  },
) {
  const log = join(directory, "h2load.log");
  rmSync(log, { force: true });
  const rate = perSecond === undefined ? [] : [`--rps=${perSecond / connections}`];
  const options = ["-t1", `-c${connections}`, `-m${streams}`, `-D${seconds}`, `--log-file=${log}`, ...rate];
  await run(...pinned("h2load", [...options, url], loadCpu), { maxBuffer: 1 << 26 });
  const good = [];
  const refused = [];
  const refusedAtMs = [];
  let other = 0;
  let startUs;
  for (const line of readFileSync(log, "utf8").trimEnd().split("\n")) {
    const [began, status, took] = line.split("\t").map(Number);
    startUs = Math.min(startUs ?? began, began);
    if (status === 200) good.push(took);
    else if (status === 503) {
      refused.push(took);
      refusedAtMs.push(began / 1000);
    } else other++;
  }
  const beganMs = startUs / 1000;
  return {
    good: Float64Array.from(good).sort(),
    refused: Float64Array.from(refused).sort(),
    refusedAtMs: refusedAtMs.map((each) => each - beganMs),
    other,
  };
}

/** Whether the processes may hold only so much from now on. */
function limitMemory(pids) {
  try {
    mkdirSync(group);
    writeFileSync(join(group, "memory.limit_in_bytes"), String(MEMORY_BYTES));
    for (const pid of pids) writeFileSync(join(group, "cgroup.procs"), String(pid));
    return true;
  } catch {
    return false;
  }
}

function readMemory() {
  const text = readFileSync(join(group, "memory.oom_control"), "utf8");
  return {
    kills: Number(/oom_kill (\d+)/.exec(text)?.[1] ?? 0),
    most: Number(readFileSync(join(group, "memory.max_usage_in_bytes"), "utf8")),
  };
}

function at(sorted, share) {
  return sorted.length === 0 ? 0 : percentile(sorted, share);
}

function time(sorted, share) {
  return sorted.length === 0 ? "–" : duration(at(sorted, share));
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
