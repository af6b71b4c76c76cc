import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const REAPER = fileURLToPath(new URL("reaper.mjs", import.meta.url));

export type Remains = `group ${number}` | `directory ${string}`;

let reaper: ChildProcess | undefined;

/** Has a process group killed, or a directory removed, when this process ends, even if it is killed or crashes. */
export function reapAtEnd(what: Remains): void {
  reaper ??= start();
  reaper.stdin?.write(`${what}\n`);
}

/** For what is gone already. The number of an empty group may be another process' some day. */
export function forget(what: Remains): void {
  reaper?.stdin?.write(`forget ${what}\n`);
}

function start(): ChildProcess {
  // A session of its own: Ctrl-C in the terminal ends the tests, not the reaper.
  const child = spawn(process.execPath, [REAPER], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  child.on("error", () => undefined);
  child.stdin?.on("error", () => undefined);
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}
