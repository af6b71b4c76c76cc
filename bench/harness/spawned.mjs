import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { connect, createServer } from "node:net";
import { withDescendants } from "./process-usage.mjs";

const running = new Set();

/**
 * Starts a program pinned to one CPU (where there are several) and remembers it: whatever happens, `stopAll` ends it.
 * Output goes to `log`. Returns its pid and `stop()`.
 */
export function start(command, args, { cpu, log, env, stdio }) {
  const [program, programArgs] = pinned(command, args, cpu);
  const child = spawn(program, programArgs, {
    stdio: stdio ?? ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const output = createWriteStream(log, { flags: "a" });
  output.on("error", () => {});
  child.stdout?.pipe(output, { end: false });
  child.stderr?.pipe(output, { end: false });
  const exited = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(`exit code ${code ?? signal}`));
  });
  const handle = { pid: child.pid, child, exited, log, stop: () => stop(handle) };
  running.add(handle);
  return handle;
}

/** `taskset` keeps load and proxies off each other's CPU. Without a CPU number the program may run anywhere. */
export function pinned(command, args, cpu) {
  return cpu === undefined ? [command, args] : ["taskset", ["-c", String(cpu), command, ...args]];
}

async function stop(handle) {
  if (!running.delete(handle) || handle.pid === undefined) return;
  const pids = withDescendants([handle.pid]);
  signal(pids, "SIGTERM");
  const ended = await Promise.race([handle.exited.then(() => true), delay(5000).then(() => false)]);
  if (!ended || pids.some(isAlive)) {
    await delay(200);
    signal(pids, "SIGKILL");
  }
}

/** Ends everything that `start` started. */
export async function stopAll() {
  await Promise.all([...running].map((handle) => stop(handle)));
}

/** Resolves when something listens on 127.0.0.1:`port`; rejects when `handle` ends before, or after 20 seconds. */
export async function listening(port, handle) {
  const deadline = Date.now() + 20_000;
  const state = { ended: "" };
  void handle.exited.then((how) => {
    state.ended = how;
  });
  while (Date.now() < deadline) {
    if (state.ended !== "")
      throw new Error(
        `${handle.child.spawnfile} ended before it listened (${state.ended}); see ${handle.log}`,
      );
    if (await canConnect(port)) return;
    await delay(50);
  }
  throw new Error(`nothing listens on port ${port} after 20 s; see ${handle.log}`);
}

/** A TCP port that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function signal(pids, name) {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
