import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";

import { forget, reapAtEnd } from "./reaper.js";

/** Servers of others, by how they are started in the foreground with a configuration file. */
const COMMANDS = {
  haproxy: (file: string) => ["haproxy", "-db", "-f", file],
  nginx: (file: string, directory: string) => ["nginx", "-e", "stderr", "-p", directory, "-c", file],
} as const;

export type Peer = keyof typeof COMMANDS;

/** Those of the programs that are not installed, for the name of a test that is skipped; "" = none. */
export function missingPeers(...peers: readonly Peer[]): string {
  const missing = peers.filter((program) => spawnSync(program, ["-v"]).error !== undefined);
  return missing.length === 0 ? "" : ` (skipped: ${missing.join(", ")} is not installed)`;
}

/** A server of others. */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #pid: number;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.#pid = pid;
  }

  /** Starts a server; resolves when it takes connections on `port` of 127.0.0.1. */
  static async start(
    peer: Peer,
    configuration: string,
    directory: string,
    port: number,
  ): Promise<PeerProcess> {
    const file = join(directory, `${peer}-${port}.conf`);
    writeFileSync(file, configuration);
    const [program = "", ...words] = COMMANDS[peer](file, directory);
    const child = spawn(program, words, { stdio: "ignore", detached: true });
    child.on("error", () => undefined);
    const { pid } = child;
    if (pid === undefined) throw new Error(`cannot start ${peer}`);
    reapAtEnd(`group ${pid}`);
    const started = new PeerProcess(child, pid);
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(`${peer} ended with ${child.exitCode}`);
      return isListening(port);
    });
    return started;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGTERM");
    await exited;
    forget(`group ${this.#pid}`);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      resolve(true);
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
  });
}
