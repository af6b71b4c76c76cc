import { fork, type ChildProcess } from "node:child_process";

import { MeshError, type Clock } from "@tulle/base";
import type { WorkloadIdentity } from "@tulle/agent";

import type { Companion } from "./companion.js";
import { fromSuccessor, say, SUCCESSOR, type ToSuccessor } from "./handover-messages.js";

/** A successor that does not serve by then is given up. */
const START_TIMEOUT_MS = 60_000;
/** Between its drain time and the end: it has to say goodbye. */
const GRACE_MS = 5000;
/** To write down what it knows. */
const CLOSE_MS = 2000;

export interface SuccessorOptions {
  readonly instanceId: string;
  readonly appPort: number | undefined;
  readonly epoch: number;
  /** What the predecessor listens by. */
  readonly sockets: ReadonlyMap<string, object>;
  /** Of the predecessor: the same. */
  readonly meshAddress: Companion["meshAddress"];
  /** How long it may drain at the end, milliseconds. */
  readonly drainMs: number;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
}

/**
 * A sidecar in a process of its own, started from what is installed now, that listens by the sockets of its predecessor. They
 * are kept here, too, without being listened by, for the one after it.
 */
export class Successor implements Companion {
  readonly meshAddress: Companion["meshAddress"];
  readonly quitRequested: Promise<void>;
  readonly failed: Promise<never>;
  readonly #options: SuccessorOptions;
  readonly #child: ChildProcess;
  readonly #held = new Map<string, object>();
  readonly #exited: Promise<void>;
  #addresses: object = {};
  #version = "";
  #ending = false;
  #onDone: () => void = () => undefined;

  private constructor(options: SuccessorOptions) {
    this.#options = options;
    this.meshAddress = options.meshAddress;
    // As the process that was started, with whatever program is at its place by now.
    const [, program = "", ...words] = process.argv;
    this.#child = fork(program, words, {
      execArgv: process.execArgv,
      env: { ...options.environment, [SUCCESSOR]: "1" },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const { promise: quit, resolve: onQuit } = deferred();
    this.quitRequested = quit;
    const child = this.#child;
    child.on("error", () => undefined);
    this.#exited = new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
    this.failed = this.#exited.then(() => {
      if (this.#ending) return new Promise<never>(() => undefined);
      throw new MeshError("internal", "CLI_SIDECAR_ENDED", "the sidecar's process has ended");
    });
    this.failed.catch(() => undefined);
    child.on("message", (value: unknown, handle: unknown) => {
      const message = fromSuccessor(value);
      if (message?.kind === "socket" && typeof handle === "object" && handle !== null)
        this.#held.set(message.name, handle);
      else if (message?.kind === "quit") onQuit();
      else if (message?.kind === "drained" || message?.kind === "released") this.#onDone();
    });
  }

  /** Starts one; resolves when it serves beside its predecessor. Rejects, and it is gone, when it does not. */
  static async start(options: SuccessorOptions): Promise<Successor> {
    const successor = new Successor(options);
    try {
      await successor.#begin();
    } catch (thrown) {
      await successor.close();
      throw thrown;
    }
    return successor;
  }

  get version(): string {
    return this.#version;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get addresses(): object {
    return this.#addresses;
  }

  get identity(): WorkloadIdentity {
    throw new MeshError("internal", "CLI_NO_IDENTITY", "the identity is in the sidecar's own process");
  }

  /** For the next one. */
  get sockets(): ReadonlyMap<string, object> {
    return this.#held;
  }

  environment(): Record<string, string> {
    return {};
  }

  takeOver(): void {
    say(this.#child, { kind: "take-over" });
  }

  async drain(): Promise<void> {
    await this.#untilDone({ kind: "drain" }, this.#options.drainMs);
  }

  async release(): Promise<void> {
    await this.#untilDone({ kind: "release" }, 0);
  }

  async retire(drainMs: number): Promise<void> {
    await this.#untilDone({ kind: "retire", drainMs }, drainMs);
  }

  /** Without a launcher it ends by itself. */
  async close(): Promise<void> {
    this.#ending = true;
    if (this.#child.connected) this.#child.disconnect();
    const timer = this.#options.clock.setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_MS);
    await this.#exited;
    timer[Symbol.dispose]();
  }

  async #begin(): Promise<void> {
    const { instanceId, appPort, epoch, sockets, clock } = this.#options;
    const { promise: ready, resolve: onReady } = deferred();
    this.#child.on("message", (value: unknown) => {
      const message = fromSuccessor(value);
      if (message?.kind === "hello") {
        const port = appPort === undefined ? {} : { appPort };
        say(this.#child, { kind: "begin", instanceId, ...port, epoch, sockets: [...sockets.keys()] });
        for (const [name, handle] of sockets) say(this.#child, { kind: "socket", name }, handle);
      } else if (message?.kind === "ready") {
        this.#version = message.version;
        this.#addresses = message.addresses;
        onReady();
      }
    });
    const { promise: late, resolve: onLate } = deferred();
    const timer = clock.setTimeout(onLate, START_TIMEOUT_MS);
    try {
      await Promise.race([
        ready,
        this.failed,
        late.then(() => {
          throw new MeshError("timeout", "CLI_SUCCESSOR_LATE", "the new sidecar did not get ready in time");
        }),
      ]);
    } finally {
      timer[Symbol.dispose]();
    }
    for (const name of sockets.keys()) {
      if (!this.#held.has(name))
        throw new MeshError("internal", "CLI_SOCKET_LOST", `the new sidecar did not take the socket ${name}`);
    }
  }

  /** Tells it to do something of its end, and waits until it has, for so long at most. */
  async #untilDone(message: ToSuccessor, drainMs: number): Promise<void> {
    this.#ending = true;
    const { promise: drained, resolve } = deferred();
    this.#onDone = resolve;
    const timer = this.#options.clock.setTimeout(resolve, drainMs + GRACE_MS);
    say(this.#child, message);
    await Promise.race([drained, this.#exited]);
    timer[Symbol.dispose]();
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
