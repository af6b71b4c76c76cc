import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseObjects } from "@tulle/api";
import { createClient, type Client } from "@tulle/client";

import { forget, reapAtEnd } from "./reaper.js";
import { tulle, tulleInPipes, TulleProcess, type Printed, type TulleOptions } from "./tulle-process.js";
import { Gateway } from "./gateway.js";
import { Workload, type WorkloadReady } from "./workload.js";

/** The application `web.mjs`, as a command. */
export const WEB: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL("apps/web.mjs", import.meta.url)),
];

/** The application `chat.mjs`, which speaks gRPC. */
export const CHAT: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL("apps/chat.mjs", import.meta.url)),
];

/** The application `recorder.mjs`, which remembers what it was asked. */
export const RECORDER: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL("apps/recorder.mjs", import.meta.url)),
];

export interface WorkloadOptions {
  readonly service: string;
  /** Unique in the mesh; names the log file and the state directory. Default: the service. */
  readonly name?: string;
  /** More options of the command. */
  readonly args?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

export interface RunOptions extends WorkloadOptions {
  /** Default: {@link WEB}. */
  readonly command?: readonly string[];
  /** "" = health is checked by connecting. Default `/health`. */
  readonly healthPath?: string;
}

export interface GatewayRunOptions extends Omit<WorkloadOptions, "service"> {
  /** Ports of Gateways. */
  readonly ports: readonly number[];
}

interface ControlReady {
  readonly pid: number;
  readonly addresses: { readonly http: string; readonly dns: string; readonly xds: string };
}

/** A process and what it announced. */
interface Started<Ready> {
  readonly process: TulleProcess;
  readonly ready: Ready;
}

/** A control plane and workloads as real processes, with everything that they write in one temporary directory. */
export class Mesh {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly #processes: TulleProcess[] = [];
  #upArgs: readonly string[];
  #control: Started<ControlReady> | undefined;
  #commands = 0;

  private constructor(directory: string, upArgs: readonly string[]) {
    this.directory = directory;
    reapAtEnd(`directory ${directory}`);
    this.#upArgs = upArgs;
    // Nothing is read from or written to the user's own directories.
    const home = { HOME: directory, XDG_STATE_HOME: directory, XDG_CONFIG_HOME: directory };
    this.environment = { ...process.env, ...home };
  }

  /** Starts a control plane on free ports; `upArgs` are more options of `tulle up`. `files`: a directory to begin with. */
  static async start(upArgs: readonly string[] = [], files?: string): Promise<Mesh> {
    const mesh = new Mesh(mkdtempSync(join(tmpdir(), "tulle-e2e-")), upArgs);
    try {
      if (files !== undefined) cpSync(files, mesh.directory, { recursive: true });
      await mesh.startControlPlane();
    } catch (thrown) {
      await mesh.end();
      throw thrown;
    }
    return mesh;
  }

  get control(): TulleProcess {
    return this.#started().process;
  }

  get addresses(): ControlReady["addresses"] {
    return this.#started().ready.addresses;
  }

  get server(): string {
    const scheme = this.#upArgs.includes("--require-login") ? "https" : "http";
    return `${scheme}://${this.addresses.http}`;
  }

  get client(): Client {
    return createClient({ server: this.server });
  }

  /** Starts the control plane, on its former data and ports when it has run before, with `upArgs` from now on. */
  async startControlPlane(upArgs = this.#upArgs): Promise<void> {
    this.#upArgs = upArgs;
    const before = this.#control?.ready.addresses;
    const port = (address: string | undefined): string => address?.split(":").at(-1) ?? "0";
    const ports = ["--http-port", port(before?.http), "--dns-port", port(before?.dns)];
    const data = ["--data-dir", join(this.directory, "data"), "--xds-port", port(before?.xds)];
    const args = ["up", ...data, ...ports, ...this.#upArgs];
    this.#control = await this.#start<ControlReady>("control-plane", args);
  }

  /** Starts `tulle run` of a service that callers know at port 8080; resolves when it is registered. */
  run(options: RunOptions): Promise<Workload> {
    return this.#workload(options, this.#runArgs(options));
  }

  /** As `run`, for one that does not get ready as long as the test is about. */
  launch(options: RunOptions): TulleProcess {
    const { service, name = service, environment } = options;
    const process = new TulleProcess(this.#command(name, this.#runArgs(options), environment), {
      announces: false,
    });
    this.#processes.push(process);
    return process;
  }

  /** Starts `tulle sidecar` on free ports. */
  sidecar(options: WorkloadOptions): Promise<Workload> {
    const ports = ["outbound", "inbound", "admin", "metrics", "readiness"].flatMap((name) => [
      `--${name}-port`,
      "0",
    ]);
    return this.#workload(options, [
      ...this.#workloadArgs("sidecar", options),
      ...ports,
      ...(options.args ?? []),
    ]);
  }

  /** Runs a command that asks the control plane, and tells its two outputs apart. */
  ask(...args: readonly string[]): Promise<Printed> {
    return tulleInPipes(args, { ...this.environment, TULLE_SERVER: this.server });
  }

  /** Runs a command to its end, with more variables in its environment. */
  tulle(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<{ readonly code: number; readonly output: string }> {
    return tulle(this.#command(`command-${++this.#commands}`, args, environment));
  }

  /** Starts `tulle gateway` on loopback, with free ports for those that its Gateways may name. */
  async gateway({ ports, name = "ingressgateway", ...options }: GatewayRunOptions): Promise<Gateway> {
    const own = ["admin", "metrics", "readiness"].flatMap((which) => [`--${which}-port`, "0"]);
    const { process, ready } = await this.#start<WorkloadReady>(
      name,
      [
        "gateway",
        name,
        "--instance-id",
        name,
        "--state-dir",
        join(this.directory, "state", name),
        "--address",
        "127.0.0.1",
        ...own,
        ...ports.flatMap((port) => ["--map", `${port}=0`]),
        ...(options.args ?? []),
      ],
      options.environment,
    );
    return new Gateway(name, process, ready);
  }

  /** Applies objects as users write them. */
  async apply(yaml: string): Promise<void> {
    const { objects, problems } = parseObjects(yaml, "test");
    const [problem] = problems;
    if (problem !== undefined) throw new Error(problem.message);
    for (const { kind, object } of objects) await this.client.resources.apply(kind, object);
  }

  /** Ends every process, callers first, and removes what they wrote. Never leaves one behind. */
  async end(): Promise<void> {
    const [control, ...workloads] = this.#processes;
    await Promise.all(workloads.map((process) => process.stop()));
    await control?.stop();
    await this.#control?.process.stop();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
    forget(`directory ${this.directory}`);
  }

  #runArgs(options: RunOptions): readonly string[] {
    const { args = [], command = WEB, healthPath = "/health" } = options;
    const port = ["--port", "0", "--service-port", "8080"];
    const health = healthPath === "" ? [] : ["--health-path", healthPath];
    return [...this.#workloadArgs("run", options), ...port, ...health, ...args, "--", ...command];
  }

  #workloadArgs(command: "run" | "sidecar", { service, name = service }: WorkloadOptions): readonly string[] {
    const stateDirectory = join(this.directory, "state", name);
    return [command, "--service", service, "--instance-id", name, "--state-dir", stateDirectory];
  }

  async #workload(
    { service, name = service, environment }: WorkloadOptions,
    args: readonly string[],
  ): Promise<Workload> {
    const { process, ready } = await this.#start<WorkloadReady>(name, args, environment);
    return new Workload(name, process, ready);
  }

  async #start<Ready>(
    name: string,
    args: readonly string[],
    environment?: NodeJS.ProcessEnv,
  ): Promise<Started<Ready>> {
    const process = new TulleProcess(this.#command(name, args, environment), { announces: true });
    this.#processes.push(process);
    return { process, ready: (await process.ready()) as Ready };
  }

  #command(name: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): TulleOptions {
    const server = this.#control === undefined ? {} : { TULLE_SERVER: this.server };
    return {
      args,
      environment: { ...this.environment, ...server, ...more },
      logFile: join(this.directory, `${name}.log`),
    };
  }

  #started(): Started<ControlReady> {
    if (this.#control === undefined) throw new Error("the control plane was not started");
    return this.#control;
  }
}
