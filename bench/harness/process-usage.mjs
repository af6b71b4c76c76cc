import { readFileSync, readdirSync } from "node:fs";
import { execFileSync } from "node:child_process";

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/**
 * CPU time and memory of processes and all that they started, from /proc: kernel and user time of every thread. In
 * steps of 10 ms, so measure for seconds.
 */
export function usage(pids) {
  let cpuSeconds = 0;
  let rssBytes = 0;
  for (const pid of withDescendants(pids)) {
    const stat = readStat(pid);
    if (stat === undefined) continue;
    cpuSeconds += (stat.userTicks + stat.systemTicks) / TICKS_PER_SECOND;
    rssBytes += residentBytes(pid);
  }
  return { cpuSeconds, rssBytes };
}

/** `pids` and every process below them. */
export function withDescendants(pids) {
  const children = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readStat(Number(entry));
    if (stat === undefined) continue;
    const siblings = children.get(stat.parent) ?? [];
    children.set(stat.parent, [...siblings, Number(entry)]);
  }
  const all = new Set();
  const visit = (pid) => {
    if (all.has(pid)) return;
    all.add(pid);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  for (const pid of pids) visit(pid);
  return [...all];
}

/** Fields of /proc/PID/stat (proc(5)); undefined when the process has ended. */
function readStat(pid) {
  let text;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold spaces: count from behind it. Field 3 (state) comes first.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { parent: Number(fields[1]), userTicks: Number(fields[11]), systemTicks: Number(fields[12]) };
}

function residentBytes(pid) {
  try {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return match === null ? 0 : Number(match[1]) * 1024;
  } catch {
    return 0;
  }
}
