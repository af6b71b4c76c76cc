import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Network } from "./network.js";
import { TulleProcess, tulle } from "./tulle-process.js";

/** The user that sidecars run as, which rules leave alone. */
export const SIDECAR_USER = 1337;

/** `tulle` on the mesh's machine of a network, with a directory that sidecars may write to. */
export class NetworkCommands {
  readonly directory: string;
  readonly #network: Network;
  readonly #processes: TulleProcess[] = [];
  #calls = 0;

  constructor(network: Network) {
    this.#network = network;
    this.directory = mkdtempSync(join(tmpdir(), "tulle-network-"));
    chownSync(this.directory, SIDECAR_USER, SIDECAR_USER);
  }

  /** Starts a long-running command; resolves when it is ready. */
  async start(name: string, args: readonly string[], user?: number): Promise<TulleProcess> {
    const started = this.begin(name, args, user);
    await started.ready();
    return started;
  }

  /** Starts a long-running command. */
  begin(name: string, args: readonly string[], user?: number): TulleProcess {
    const started = new TulleProcess(this.#optionsOf(name, args, user), { announces: true });
    this.#processes.push(started);
    return started;
  }

  /** Runs a command to its end. Gives what it printed; throws that when it fails. */
  async run(...args: readonly string[]): Promise<string> {
    const { code, output } = await tulle(this.#optionsOf(`call-${this.#calls++}`, args));
    if (code !== 0) throw new Error(output);
    return output;
  }

  /** Ends what was started, then the network. */
  async end(): Promise<void> {
    await Promise.all(this.#processes.map((started) => started.stop()));
    this.#network.end();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #optionsOf(name: string, args: readonly string[], user?: number) {
    const home = { HOME: this.directory, XDG_STATE_HOME: this.directory };
    return {
      args,
      environment: { ...process.env, ...home, TULLE_SERVER: "http://127.0.0.1:8500" },
      launcher: this.#network.inside(user),
      logFile: join(this.directory, `${name}.log`),
    };
  }
}
