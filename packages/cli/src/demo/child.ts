import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

import { MeshError, type Clock } from "@tulle/base";

const TULLE = fileURLToPath(new URL("../../bin/tulle.mjs", import.meta.url));
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 8_000;

export interface ChildOptions {
  /** Names its log file. */
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly logDirectory: string;
  readonly clock: Clock;
}

/** A `tulle` process that the demo started. */
export interface Child<Ready> {
  readonly name: string;
  readonly pid: number;
  /** What it said when it was ready (`--ready-fd`). */
  readonly ready: Ready;
  readonly running: boolean;
  readonly exited: Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL. Resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts `tulle <args> --ready-fd 3` and waits for its line. Rejects with the end of its log when it fails. */
export async function startChild<Ready>(options: ChildOptions): Promise<Child<Ready>> {
  const logFile = join(options.logDirectory, `${options.name}.log`);
  const log = openSync(logFile, "a", 0o600);
  const separator = options.args.indexOf("--");
  const at = separator === -1 ? options.args.length : separator;
  const args = [
    ...options.args.slice(0, at),
    "--ready-fd",
    "3",
    "--end-with-fd",
    "4",
    ...options.args.slice(at),
  ];
  const child = spawn(process.execPath, [TULLE, ...args], {
    // The fifth is never written to: it ends with us, and the child with it, however we end.
    stdio: ["ignore", log, log, "pipe", "pipe"],
    env: options.environment,
    // A group of its own: the terminal's Ctrl-C reaches the demo alone, which then ends its children in order.
    detached: true,
  });
  closeSync(log);
  child.on("error", () => undefined);
  child.stdio[4]?.on("error", () => undefined);
  const exited = once(child, "exit").then(() => undefined);
  try {
    const ready = (await firstLine(child, options.clock, exited)) as Ready;
    return new RunningChild(options.name, child, ready, exited, options.clock);
  } catch (thrown) {
    killGroup(child, "SIGKILL");
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new MeshError("internal", "CLI_DEMO_START", `${options.name} ${why}\n${endOf(logFile)}`);
  }
}

class RunningChild<Ready> implements Child<Ready> {
  readonly name: string;
  readonly ready: Ready;
  readonly exited: Promise<void>;
  readonly #process: ChildProcess;
  readonly #clock: Clock;

  constructor(name: string, process: ChildProcess, ready: Ready, exited: Promise<void>, clock: Clock) {
    this.name = name;
    this.#process = process;
    this.ready = ready;
    this.exited = exited;
    this.#clock = clock;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.running) return;
    // What must end at once ends with its application: nobody is left to end that.
    if (signal === "SIGKILL") killGroup(this.#process, signal);
    else this.#process.kill(signal);
  }

  async stop(): Promise<void> {
    if (!this.running) return;
    this.signal("SIGTERM");
    const force = this.#clock.setTimeout(() => this.signal("SIGKILL"), STOP_TIMEOUT_MS);
    await this.exited;
    force[Symbol.dispose]();
  }
}

async function firstLine(child: ChildProcess, clock: Clock, exited: Promise<void>): Promise<unknown> {
  const pipe = child.stdio[3] as Readable;
  let text = "";
  const line = new Promise<string>((resolve, reject) => {
    const timer = clock.setTimeout(() => reject(new Error("was not ready in time")), START_TIMEOUT_MS);
    pipe.on("error", reject);
    pipe.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (!text.includes("\n")) return;
      timer[Symbol.dispose]();
      resolve(text.slice(0, text.indexOf("\n")));
    });
    void exited.then(() => {
      timer[Symbol.dispose]();
      reject(new Error(`ended while starting (code ${child.exitCode ?? child.signalCode ?? "?"})`));
    });
  });
  const value: unknown = JSON.parse(await line);
  pipe.destroy();
  return value;
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

function endOf(logFile: string): string {
  return readFileSync(logFile, "utf8").split("\n").slice(-15).join("\n");
}
