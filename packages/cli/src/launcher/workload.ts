import { mkdirSync } from "node:fs";

import { claimStateDirectory } from "@tulle/agent";
import { delay, MeshError, type Disposable, type Logger } from "@tulle/base";
import type { Client, ServiceRegistration } from "@tulle/client";

import { cliLogger, type CliContext } from "../context.js";
import { stateDirectory } from "../state-directory.js";
import type { Companion } from "./companion.js";
import { freePort } from "./free-port.js";
import { joinMesh, joinTokenOf, joinWhenItIsThere } from "./join-mesh.js";
import { openWorkloadApi, type WorkloadApi } from "./workload-api.js";
import { workloadClients } from "./workload-client.js";
import { deregister, keepRegistered, registrationOf } from "./registration.js";
import type { WorkloadOptions } from "./workload-options.js";

/**
 * Between deregistering and draining: the removal has reached every proxy long before (a push takes milliseconds),
 * and requests that were on their way when it did have arrived.
 */
const PROPAGATION_MS = 250;
const REGISTER_EVERY_MS = 1000;

/** A member of the mesh: its companion with its registration. What `tulle run` and `tulle sidecar` start. */
export class Workload {
  readonly companion: Companion;
  readonly instanceId: string;
  /** Where the application listens, or is to listen; undefined for a client only. */
  readonly appPort: number | undefined;
  readonly logger: Logger;
  readonly #options: WorkloadOptions;
  readonly #context: CliContext;
  readonly #client: Client;
  readonly #api: WorkloadApi;
  #registration: { readonly value: ServiceRegistration; readonly keeper: Disposable | undefined } | undefined;
  #ending: Promise<void> | undefined;

  private constructor(
    options: WorkloadOptions,
    context: CliContext,
    client: Client,
    companion: Companion,
    api: WorkloadApi,
    instanceId: string,
    appPort: number | undefined,
    logger: Logger,
  ) {
    this.#options = options;
    this.#context = context;
    this.#client = client;
    this.companion = companion;
    this.#api = api;
    this.instanceId = instanceId;
    this.appPort = appPort;
    this.logger = logger;
  }

  /** Joins the mesh and starts the companion; resolves when it can serve. */
  static async start(options: WorkloadOptions, context: CliContext): Promise<Workload> {
    const logger = cliLogger(context, options.logLevel);
    const appPort = options.port === 0 ? await freePort(context.random) : options.port;
    const instanceId = options.instanceId ?? defaultInstanceId(options, context);
    const directory =
      options.stateDir ?? stateDirectory(context.environment, "sidecars", options.namespace, instanceId);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    await claimStateDirectory(directory);
    const { service, namespace, serviceAccount = service } = options;
    const { joining, registering } = await workloadClients(options, directory, context);
    const joinToken = joinTokenOf(options, context);
    const account = { namespace, serviceAccount, joinToken };
    const join = () => joinMesh(joining, account, directory, logger);
    const joined = options.failOpen === true ? joinWhenItIsThere(join, context.clock, logger) : await join();
    const start =
      options.proxyless === true
        ? (await import("./proxyless-companion.js")).startProxylessCompanion
        : (await import("./sidecar-companion.js")).startSidecarCompanion;
    const { clock, random } = context;
    const companion = await start({
      workload: options,
      instanceId,
      appPort,
      directory,
      joined,
      clock,
      random,
      logger,
    });
    const { controlPlane } = await joined;
    const api = await openWorkloadApi(directory, {
      identity: companion.identity,
      trustDomain: controlPlane.trustDomain,
      controlPlaneAddress: controlPlane.xds,
      clock,
      logger,
    });
    return new Workload(options, context, registering, companion, api, instanceId, appPort, logger);
  }

  /** What the application finds in its environment. */
  environment(): Record<string, string> {
    const { service, namespace, version } = this.#options;
    return {
      ...this.companion.environment(),
      ...this.#api.environment(),
      SERVICE_NAME: service,
      SERVICE_NAMESPACE: namespace,
      INSTANCE_ID: this.instanceId,
      ...(version === undefined ? {} : { SERVICE_VERSION: version }),
      ...(this.appPort === undefined ? {} : { PORT: String(this.appPort) }),
    };
  }

  /** What `--ready-fd` tells. */
  describe(): object {
    const { service, namespace, version = "" } = this.#options;
    const { addresses } = this.companion;
    return {
      service,
      namespace,
      version,
      instanceId: this.instanceId,
      pid: process.pid,
      appPort: this.appPort,
      addresses,
    };
  }

  /**
   * Gives the instance traffic. Resolves after the first try: with the control plane away it is tried again until it
   * is back, the workload serves meanwhile.
   */
  async register(): Promise<void> {
    if (this.appPort === undefined || this.#ending !== undefined) return;
    const value = registrationOf(this.#options, this.instanceId, this.appPort, this.companion.meshAddress);
    this.#registration = { value, keeper: undefined };
    if (!(await this.#tryRegister(value))) void this.#registerLater(value);
  }

  /** False when the control plane cannot be reached; what it refuses is an error. */
  async #tryRegister(value: ServiceRegistration): Promise<boolean> {
    try {
      const keeper = await keepRegistered(this.#client, value, this.#context.clock, this.logger);
      if (this.#ending === undefined) this.#registration = { value, keeper };
      else keeper[Symbol.dispose]();
      return true;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.kind !== "unavailable" && error.kind !== "timeout") throw error;
      this.logger.warn("cannot register yet; trying again", { error });
      return false;
    }
  }

  async #registerLater(value: ServiceRegistration): Promise<void> {
    try {
      do await delay(this.#context.clock, REGISTER_EVERY_MS);
      while (this.#ending === undefined && !(await this.#tryRegister(value)));
    } catch (error) {
      this.logger.error("could not register", { error });
    }
  }

  /** The order that loses no request: deregister, let it reach the callers, finish what is under way. */
  leave(): Promise<void> {
    this.#ending ??= this.#leave();
    return this.#ending;
  }

  async #leave(): Promise<void> {
    const registration = this.#registration;
    registration?.keeper?.[Symbol.dispose]();
    if (registration !== undefined) {
      await deregister(this.#client, registration.value, this.logger);
      await delay(this.#context.clock, PROPAGATION_MS);
    }
    await this.companion.drain();
    await this.#api.close();
  }
}

function defaultInstanceId({ service, version, port = 0 }: WorkloadOptions, context: CliContext): string {
  // A fixed port makes a name that the next start finds its identity under again.
  const last =
    port === 0
      ? Math.floor(context.random() * 36 ** 6)
          .toString(36)
          .padStart(6, "0")
      : String(port);
  return [service, ...(version === undefined ? [] : [version]), last].join("-");
}
