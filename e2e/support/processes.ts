import { readdirSync, readFileSync } from "node:fs";

/** Ids of the processes that carry `value` in the variable `name`: what inherited it from whom, however it was started. */
export function processesWith(name: string, value: string): readonly number[] {
  const wanted = `${name}=${value}`;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => environmentOf(entry).includes(wanted))
    .map(Number);
}

function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    // It ended in the meantime, or is somebody else's.
    return [];
  }
}
