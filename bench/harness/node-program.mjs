import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { start, pinned } from "./spawned.mjs";

const run = promisify(execFile);
const pathOf = (name) => fileURLToPath(new URL(`../programs/${name}.mjs`, import.meta.url));
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Runs `programs/NAME.mjs`, a load of ours in a process of its own, to its end; resolves with the JSON it prints. */
export async function runProgram(name, options, cpu) {
  const args = ["--no-warnings", pathOf(name), JSON.stringify(options)];
  const { stdout } = await run(...pinned(process.execPath, args, cpu), { maxBuffer: MAX_OUTPUT_BYTES });
  return JSON.parse(stdout);
}

/** Starts `programs/NAME.mjs`; resolves with its handle once it has printed a line, which is JSON. */
export async function startProgram(name, options, { cpu, log }) {
  const handle = start(process.execPath, ["--no-warnings", pathOf(name), JSON.stringify(options)], {
    cpu,
    log,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let text = "";
  const line = await new Promise((resolve, reject) => {
    handle.child.stdout.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    void handle.exited.then((how) => reject(new Error(`${name} ended (${how}); see ${log}`)));
  });
  return { handle, ready: JSON.parse(line) };
}
