import { MeshError, VERSION, type Clock } from "@tulle/base";

import type { CliContext } from "../context.js";
import { EXIT } from "../exit-code.js";
import type { Inheritance } from "./companion.js";
import { fromLauncher, say, SUCCESSOR, type FromSuccessor, type ToSuccessor } from "./handover-messages.js";
import { startMember, type Member } from "./member.js";
import { openWorkloadApi, type WorkloadApi } from "./workload-api.js";
import type { WorkloadOptions } from "./workload-options.js";

/** Signals of the terminal are the launcher's, which says what is to be done. */
const LAUNCHERS_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const;

/** Whether this process was started by a launcher to go on for its sidecar. */
export function isSuccessor({ environment }: CliContext): boolean {
  return environment[SUCCESSOR] === "1" && process.connected;
}

/**
 * Goes on for a predecessor, until the launcher says that it is over or is gone itself: takes its sockets, serves beside it,
 * and takes over.
 */
export async function runSuccessor(options: WorkloadOptions, context: CliContext): Promise<void> {
  for (const signal of LAUNCHERS_SIGNALS) process.on(signal, () => undefined);
  const launcher = new Launcher();
  try {
    const inheritance = await launcher.inherit();
    const member = await startMember(options, context, inheritance);
    try {
      await serve(member, launcher, context.clock);
    } finally {
      await member.companion.close();
    }
  } finally {
    // It would keep the process alive.
    launcher.leave();
  }
}

/** Does as the launcher says. */
async function serve(member: Member, launcher: Launcher, clock: Clock): Promise<void> {
  const { companion, directory, controlPlane, logger } = member;
  const { trustDomain, xds: controlPlaneAddress } = controlPlane;
  const { identity } = companion;
  let api: WorkloadApi | undefined;
  const handover = companion.handover?.();
  launcher.begun = true;
  launcher.say({ kind: "ready", version: VERSION, addresses: companion.addresses });
  void companion.quitRequested.then(() => launcher.say({ kind: "quit" }));
  try {
    for (;;) {
      const message = await Promise.race([launcher.next(), companion.failed]);
      if (message === undefined) return;
      if (message.kind === "take-over") {
        api ??= await openWorkloadApi(directory, {
          identity,
          trustDomain,
          controlPlaneAddress,
          clock,
          logger,
        });
      } else if (message.kind === "release") {
        await api?.close();
        launcher.say({ kind: "released" });
      } else if (message.kind === "drain" || message.kind === "retire") {
        if (message.kind === "drain") await companion.drain();
        else await handover?.retire(message.drainMs);
        launcher.say({ kind: "drained" });
      }
    }
  } finally {
    await api?.close();
  }
}

/** The other end of the channel. */
class Launcher {
  /** Whether the end is in order: something is to be closed, or nothing was begun. */
  begun = false;
  readonly #messages: ToSuccessor[] = [];
  readonly #sockets = new Map<string, object>();
  #gone = false;
  #wake: () => void = () => undefined;

  constructor() {
    process.on("message", (value: unknown, handle: unknown) => {
      const message = fromLauncher(value);
      if (message === undefined) return;
      if (message.kind === "socket" && typeof handle === "object" && handle !== null) {
        this.#sockets.set(message.name, handle);
        // The launcher keeps one as well: ours ends with us.
        say(process, { kind: "socket", name: message.name } satisfies FromSuccessor, handle);
      } else this.#messages.push(message);
      this.#wake();
    });
    process.once("disconnect", () => {
      // Starting may wait for a control plane for ever.
      if (!this.begun) process.exit(EXIT.internal);
      this.#gone = true;
      this.#wake();
    });
    this.say({ kind: "hello" });
  }

  leave(): void {
    this.begun = true;
    if (process.connected) process.disconnect();
  }

  say(message: FromSuccessor): void {
    say(process, message);
  }

  /** What it says next; undefined when it is gone. */
  async next(): Promise<ToSuccessor | undefined> {
    while (this.#messages.length === 0 && !this.#gone) await this.#change();
    return this.#messages.shift();
  }

  async inherit(): Promise<Inheritance> {
    const begin = await this.next();
    if (begin?.kind !== "begin") {
      throw new MeshError("invalid", "CLI_HANDOVER", "the launcher did not say what is to be gone on with");
    }
    while (!begin.sockets.every((name) => this.#sockets.has(name))) await this.#change();
    const { instanceId, appPort, epoch } = begin;
    return { instanceId, appPort, epoch, sockets: this.#sockets };
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
