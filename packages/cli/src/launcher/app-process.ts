import { spawn, type ChildProcess } from "node:child_process";
import { constants } from "node:os";

import { MeshError, systemErrorCode, type Clock } from "@tulle/base";

import { EXIT } from "../exit-code.js";

export interface AppProcessOptions {
  readonly command: readonly [string, ...string[]];
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
}

/** The application beside a sidecar: started with our terminal, told our signals, ended with us. */
export class AppProcess {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  /** Resolves with the code to exit with. */
  readonly exited: Promise<number>;

  private constructor(child: ChildProcess, clock: Clock) {
    this.#child = child;
    this.#clock = clock;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signalExitCode(signal)));
    });
    child.on("error", () => undefined);
  }

  /** Starts it; rejects with what to do when there is no such program. */
  static async start({
    command: [program, ...args],
    environment,
    clock,
  }: AppProcessOptions): Promise<AppProcess> {
    const child = spawn(program, args, { stdio: "inherit", env: environment });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (thrown) => reject(cannotStart(program, thrown)));
    });
    return new AppProcess(child, clock);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
  }

  /** SIGTERM, then SIGKILL after `graceMs`; resolves when it is gone. */
  async stop(graceMs: number): Promise<number> {
    this.signal("SIGTERM");
    const force = this.#clock.setTimeout(() => this.signal("SIGKILL"), graceMs);
    const code = await this.exited;
    force[Symbol.dispose]();
    return code;
  }
}

/** What shells make of a process that a signal ended: 128 and the signal's number. */
export function signalExitCode(signal: NodeJS.Signals | null): number {
  return signal === null ? EXIT.internal : 128 + constants.signals[signal];
}

function cannotStart(program: string, thrown: Error): MeshError {
  const missing = systemErrorCode(thrown) === "ENOENT";
  const message = missing
    ? `there is no program ${program}: check the command after --`
    : `cannot start ${program}`;
  return new MeshError(missing ? "not-found" : "internal", "CLI_APP_START", message, { cause: thrown });
}
