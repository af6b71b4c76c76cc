import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { forget, reapAtEnd } from "./reaper.js";

const TULLE = fileURLToPath(new URL("../../packages/cli/bin/tulle.mjs", import.meta.url));
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const FORGET_EVERY_MS = 50;

export interface TulleOptions {
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Command that the process is started through: `["ip", "netns", "exec", "a"]`. */
  readonly launcher?: readonly string[];
  /** Takes stdout and stderr. */
  readonly logFile: string;
}

/** Process groups that may have members. */
const groups = new Set<number>();

/** One `tulle` command, built, in a process group of its own with whatever it starts. */
export class TulleProcess {
  readonly pid: number;
  /** The exit code, or 128 + the number of the signal that ended it. */
  readonly exited: Promise<number>;
  readonly #child: ChildProcess;
  readonly #logFile: string;

  /** `announces`: for commands with `--ready-fd`; see {@link ready}. */
  constructor(
    { args: wanted, environment, launcher = [], logFile }: TulleOptions,
    { announces }: { readonly announces: boolean },
  ) {
    const at = wanted.includes("--") ? wanted.indexOf("--") : wanted.length;
    const args = announces ? [...wanted.slice(0, at), "--ready-fd", "3", ...wanted.slice(at)] : wanted;
    const log = openSync(logFile, "a", 0o600);
    this.#logFile = logFile;
    const [program = "", ...words] = [...launcher, process.execPath, TULLE, ...args];
    this.#child = spawn(program, words, {
      stdio: ["ignore", log, log, announces ? "pipe" : "ignore"],
      env: environment,
      detached: true,
    });
    closeSync(log);
    this.#child.on("error", () => undefined);
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`cannot start tulle ${args.join(" ")}`);
    this.pid = pid;
    groups.add(pid);
    reapAtEnd(`group ${pid}`);
    this.#child.once("exit", () => forgetWhenEmpty(pid));
    this.exited = once(this.#child, "exit").then(
      ([code, signal]) => (code as number | null) ?? 128 + constants.signals[signal as NodeJS.Signals],
    );
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it wrote to stdout and stderr so far. */
  get output(): string {
    return readFileSync(this.#logFile, "utf8");
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGKILL for it and for everything that it started, at the same moment. */
  kill9(): void {
    if (groups.has(this.pid)) killGroup(this.pid);
  }

  /** SIGTERM, then SIGKILL; resolves with the exit code when it is gone with everything that it started. */
  async stop(): Promise<number> {
    const force = setTimeout(() => this.kill9(), STOP_TIMEOUT_MS);
    if (this.running) this.signal("SIGTERM");
    const code = await this.exited;
    clearTimeout(force);
    this.kill9();
    return code;
  }

  /** The line of JSON that it announces its readiness with. Rejects with the end of its output when it ends before. */
  async ready(): Promise<unknown> {
    const pipe = this.#child.stdio[3] as Readable;
    pipe.on("error", () => undefined);
    const timer = setTimeout(() => this.kill9(), START_TIMEOUT_MS);
    let text = "";
    for await (const chunk of pipe) {
      text += String(chunk);
      if (text.includes("\n")) break;
    }
    clearTimeout(timer);
    if (text.includes("\n")) return JSON.parse(text) as unknown;
    const code = await this.exited;
    throw new Error(`tulle ended with ${code} before it was ready:\n${this.output.slice(-2000)}`);
  }
}

/** Runs `tulle` to its end. */
export async function tulle(
  options: TulleOptions,
): Promise<{ readonly code: number; readonly output: string }> {
  const process = new TulleProcess(options, { announces: false });
  const code = await process.exited;
  await process.stop();
  return { code, output: process.output };
}

/** What a command printed. */
export interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `tulle` to its end, its two outputs into pipes of their own. */
export async function tulleInPipes(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Printed> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [TULLE, ...args], {
      env: environment,
    });
    return { code: 0, out: stdout, err: stderr };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

/** The number of an empty group may be another process' some day: it is forgotten as soon as nobody is in it. */
function forgetWhenEmpty(pid: number): void {
  try {
    process.kill(-pid, 0);
    setTimeout(() => forgetWhenEmpty(pid), FORGET_EVERY_MS).unref();
  } catch {
    groups.delete(pid);
    forget(`group ${pid}`);
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of it is left.
  }
}
