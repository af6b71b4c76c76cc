import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";

const HERE = "10.212.0.1";
/** Of what is started on it. */
export const LOSSY_ADDRESS = "10.212.0.2";

/**
 * Another machine, by a network namespace and a cable to this one, that loses packets by which connections begin. Needs
 * what `whyNoNetworks` asks for.
 */
export class LossyHost {
  readonly #name = `tulle-lossy-${process.pid}`;
  readonly #processes: ChildProcess[] = [];

  constructor() {
    const [here, there] = [`tulle${process.pid}h`, `tulle${process.pid}l`];
    run("ip", "netns", "add", this.#name);
    run("ip", "link", "add", here, "type", "veth", "peer", there, "netns", this.#name);
    run("ip", "address", "add", `${HERE}/30`, "dev", here);
    run("ip", "link", "set", here, "up");
    run("ip", "-n", this.#name, "address", "add", `${LOSSY_ADDRESS}/30`, "dev", there);
    run("ip", "-n", this.#name, "link", "set", there, "up");
  }

  /** Starts a program, which ends with the host; resolves when it has printed something. */
  async start(...command: readonly string[]): Promise<void> {
    const child = spawn("ip", ["netns", "exec", this.#name, ...command], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#processes.push(child);
    await Promise.race([
      once(child.stdout, "data"),
      once(child, "exit").then(([code]) => {
        throw new Error(`${command.join(" ")} ended with ${code}`);
      }),
    ]);
  }

  /** Loses so many of a hundred of the packets that ask for a connection. */
  loseSyns(percent: number): void {
    const rule = `tcp flags & (syn | ack) == syn numgen random mod 100 < ${percent} drop`;
    this.keepSyns();
    this.#nft(`table inet loss {
      chain input {
        type filter hook input priority 0
        ${rule}
      }
    }`);
  }

  keepSyns(): void {
    this.#nft("table inet loss\ndelete table inet loss");
  }

  end(): void {
    for (const child of this.#processes) child.kill("SIGKILL");
    // The cable goes with its other end.
    spawnSync("ip", ["netns", "delete", this.#name]);
  }

  #nft(rules: string): void {
    run("ip", "netns", "exec", this.#name, "nft", rules);
  }
}

function run(program: string, ...words: readonly string[]): void {
  const { status, stderr } = spawnSync(program, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
}
