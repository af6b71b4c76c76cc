import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { delay, start } from "./spawned.mjs";

/** The built command. */
export const COMMAND = fileURLToPath(new URL("../../packages/cli/bin/tulle.mjs", import.meta.url));

const REGISTRATIONS_AT_ONCE = 16;
const LOOK_EVERY_MS = 5;

/**
 * Starts `tulle ARGS --ready-file`, and resolves with its handle and what it wrote there. `name`: unique in `directory`,
 * which takes that file and the log.
 */
export async function startTulle({ directory, name, args, cpu, timeoutMs = 30_000 }) {
  const readyFile = join(directory, `tulle-${name}.ready`);
  const log = join(directory, `tulle-${name}.log`);
  const handle = start(process.execPath, [COMMAND, ...args, "--ready-file", readyFile], { cpu, log });
  const state = { ended: "" };
  void handle.exited.then((how) => {
    state.ended = how;
  });
  const deadline = Date.now() + timeoutMs;
  while (!existsSync(readyFile)) {
    if (state.ended !== "") throw new Error(`tulle ${args[0]} ended (${state.ended}): ${lastLine(log)}`);
    if (Date.now() > deadline)
      throw new Error(`tulle ${args[0]} was not ready after ${timeoutMs / 1000} s: ${lastLine(log)}`);
    await delay(LOOK_EVERY_MS);
  }
  return { handle, ready: JSON.parse(readFileSync(readyFile, "utf8")) };
}

/** Registers an instance of an HTTP service that callers know at port 80. */
export async function register(server, { name, address, port }) {
  await put(server, "/v1/agent/service/register", {
    ID: idOf({ name, address, port }),
    Name: name,
    Address: address,
    Port: port,
    Meta: { "tulle-protocol": "http", "tulle-service-port": "80" },
  });
}

export async function deregister(server, instance) {
  await put(server, `/v1/agent/service/deregister/${idOf(instance)}`);
}

/** Registers many, several at a time. */
export async function registerAll(server, instances) {
  const left = [...instances];
  const workers = Array.from({ length: REGISTRATIONS_AT_ONCE }, async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await register(server, next);
  });
  await Promise.all(workers);
}

export function lastLine(log) {
  return existsSync(log) ? (readFileSync(log, "utf8").trim().split("\n").at(-1) ?? "") : "";
}

const idOf = ({ name, address, port }) => `${name}-${address}-${port}`;

async function put(server, path, body) {
  const response = await fetch(`${server}${path}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
}
