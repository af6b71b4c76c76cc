import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NAMESPACES = "/etc/netns";
/** Of the mesh's machine, as the outside sees it. */
export const MESH_ADDRESS = "10.211.0.1";
export const MESH_ADDRESS_IPV6 = "fd00:211::1";
const LINK_LOCAL = "fe80::211:1";
/** Of what lies outside. */
export const OUTSIDE_ADDRESS = "10.211.0.2";
export const OUTSIDE_ADDRESS_IPV6 = "fd00:211::2";

/** Why network namespaces cannot be used here; "" when they can. */
export function whyNoNetworks(): string {
  if (process.platform !== "linux") return "it is not Linux";
  if (process.getuid?.() !== 0) return "it needs root";
  const missing = ["ip", "nft", "setpriv", "curl"].filter(
    (program) => spawnSync(program, ["--version"]).error !== undefined,
  );
  if (missing.length > 0) return `${missing.join(", ")} is not installed`;
  const name = `tulle-try-${process.pid}`;
  const { status } = spawnSync("ip", ["netns", "add", name]);
  spawnSync("ip", ["netns", "delete", name]);
  return status === 0 ? "" : "network namespaces cannot be made";
}

/** How a program ended, and what it printed. */
export interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/**
 * Two network namespaces with a cable between them: one for the mesh, whose default route and only nameserver is the
 * other, the outside.
 */
export class Network {
  /** The mesh's machine by its link-local address, as a URL of the outside has it. */
  readonly linkLocalHost: string;
  readonly #mesh = `tulle-mesh-${process.pid}`;
  readonly #outside = `tulle-outside-${process.pid}`;
  readonly #processes: ChildProcess[] = [];

  constructor() {
    const cable = `tulle${process.pid}`;
    this.linkLocalHost = `[${LINK_LOCAL}%25${cable}b]`;
    for (const name of [this.#mesh, this.#outside]) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    ip(
      "link",
      "add",
      `${cable}a`,
      "netns",
      this.#mesh,
      "type",
      "veth",
      "peer",
      `${cable}b`,
      "netns",
      this.#outside,
    );
    ip("-n", this.#mesh, "address", "add", `${MESH_ADDRESS}/24`, "dev", `${cable}a`);
    ip("-n", this.#outside, "address", "add", `${OUTSIDE_ADDRESS}/24`, "dev", `${cable}b`);
    ip("-n", this.#mesh, "address", "add", `${MESH_ADDRESS_IPV6}/64`, "dev", `${cable}a`, "nodad");
    ip("-n", this.#mesh, "address", "add", `${LINK_LOCAL}/64`, "dev", `${cable}a`, "nodad");
    ip("-n", this.#outside, "address", "add", `${OUTSIDE_ADDRESS_IPV6}/64`, "dev", `${cable}b`, "nodad");
    ip("-n", this.#mesh, "link", "set", `${cable}a`, "up");
    ip("-n", this.#outside, "link", "set", `${cable}b`, "up");
    ip("-n", this.#mesh, "route", "add", "default", "via", OUTSIDE_ADDRESS);
    ip("-n", this.#mesh, "-6", "route", "add", "default", "via", OUTSIDE_ADDRESS_IPV6);
    mkdirSync(join(NAMESPACES, this.#mesh), { recursive: true });
    writeFileSync(join(NAMESPACES, this.#mesh, "resolv.conf"), `nameserver ${OUTSIDE_ADDRESS}\n`);
  }

  /** Command prefix that runs something inside the mesh's namespace, as a user when one is given. */
  inside(user?: number): readonly string[] {
    const as = ["setpriv", "--reuid", String(user), "--regid", String(user), "--clear-groups"];
    return ["ip", "netns", "exec", this.#mesh, ...(user === undefined ? [] : as)];
  }

  /** Starts a program outside; it ends with the network. */
  startOutside(...command: readonly string[]): void {
    this.#start(["ip", "netns", "exec", this.#outside, ...command], process.env);
  }

  /** Starts a program in the mesh's namespace; it ends with the network. */
  startInside(user: number, environment: NodeJS.ProcessEnv, ...command: readonly string[]): void {
    this.#start([...this.inside(user), ...command], { ...process.env, ...environment });
  }

  /** Runs a program in the mesh's namespace to its end, in 20 seconds at most. */
  run(user: number, ...command: readonly string[]): Promise<Ran> {
    return this.#run([...this.inside(user), ...command]);
  }

  /** As `run`, outside. */
  runOutside(...command: readonly string[]): Promise<Ran> {
    return this.#run(["ip", "netns", "exec", this.#outside, ...command]);
  }

  #start([program = "", ...words]: readonly string[], env: NodeJS.ProcessEnv): void {
    const child = spawn(program, words, { stdio: "ignore", env });
    child.on("error", () => undefined);
    this.#processes.push(child);
  }

  async #run([program = "", ...words]: readonly string[]): Promise<Ran> {
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"], timeout: 20_000 });
    let output = "";
    child.stdout.on("data", (piece: Buffer) => (output += piece.toString("utf8")));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    return { code, output };
  }

  end(): void {
    for (const child of this.#processes) child.kill("SIGKILL");
    for (const name of [this.#mesh, this.#outside]) spawnSync("ip", ["netns", "delete", name]);
    rmSync(join(NAMESPACES, this.#mesh), { recursive: true, force: true });
  }
}

function ip(...words: readonly string[]): void {
  const { status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
}
