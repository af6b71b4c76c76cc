import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { MeshInfo } from "@tulle/api";
import { delay, MeshError, parseDuration, type Disposable, type Logger } from "@tulle/base";
import { createClient, type Client, type ServiceRegistration } from "@tulle/client";
import { runSidecar, type AccessLogSink, type Sidecar } from "@tulle/proxy";

import { cliLogger, type CliContext } from "../context.js";
import { stateDirectory } from "../state-directory.js";
import { freePort } from "./free-port.js";
import { deregister, keepRegistered, registrationOf } from "./registration.js";
import { checkWorkloadOptions, type WorkloadOptions } from "./workload-options.js";

/**
 * Between deregistering and draining: the removal has reached every proxy long before (a push takes milliseconds),
 * and requests that were on their way when it did have arrived.
 */
const PROPAGATION_MS = 250;

/** What a sidecar must know of the control plane to start while that is away. */
interface KnownControlPlane {
  readonly xds: string;
  readonly trustDomain: string;
  readonly rootCertificatePem: string;
}

/** A sidecar with its registration: what `tulle run` and `tulle sidecar` start. */
export class Workload {
  readonly sidecar: Sidecar;
  readonly instanceId: string;
  /** Where the application listens, or is to listen; undefined for a client only. */
  readonly appPort: number | undefined;
  readonly logger: Logger;
  readonly #options: WorkloadOptions;
  readonly #context: CliContext;
  readonly #client: Client;
  #registration: { readonly value: ServiceRegistration; readonly keeper: Disposable | undefined } | undefined;
  #ending: Promise<void> | undefined;

  private constructor(
    options: WorkloadOptions,
    context: CliContext,
    client: Client,
    sidecar: Sidecar,
    instanceId: string,
    appPort: number | undefined,
    logger: Logger,
  ) {
    this.#options = options;
    this.#context = context;
    this.#client = client;
    this.sidecar = sidecar;
    this.instanceId = instanceId;
    this.appPort = appPort;
    this.logger = logger;
  }

  /** Joins the mesh and starts the sidecar; resolves when it can serve. */
  static async start(options: WorkloadOptions, context: CliContext): Promise<Workload> {
    checkWorkloadOptions(options);
    const logger = cliLogger(context, options.logLevel);
    const client = createClient({ server: options.server });
    const appPort = options.port === 0 ? await freePort() : options.port;
    const instanceId = options.instanceId ?? defaultInstanceId(options, context);
    const directory =
      options.stateDir ?? stateDirectory(context.environment, "sidecars", options.namespace, instanceId);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { service, namespace, serviceAccount = service, version } = options;
    const { controlPlane, joinToken } = await joinMesh(
      client,
      { namespace, serviceAccount },
      directory,
      logger,
    );
    const sidecar = await runSidecar({
      service,
      namespace,
      serviceAccount,
      instanceId,
      labels: { ...Object.fromEntries(options.label ?? []), ...(version === undefined ? {} : { version }) },
      inbound:
        appPort === undefined
          ? []
          : [{ service, namespace, servicePort: options.servicePort ?? appPort, appPort }],
      upstreams: options.upstream ?? [],
      ports: {
        outbound: options.outboundPort,
        inbound: options.inboundPort,
        admin: options.adminPort,
        metrics: options.metricsPort,
        readiness: options.readinessPort,
      },
      controlPlane,
      ...(joinToken === undefined ? {} : { joinToken }),
      stateDirectory: directory,
      drainMs: parseDuration(options.drain) ?? 5000,
      accessLog: accessLogSink(options.accessLog),
      logger,
      clock: context.clock,
    });
    await sidecar.ready;
    return new Workload(options, context, client, sidecar, instanceId, appPort, logger);
  }

  /** What the application finds in its environment. */
  environment(): Record<string, string> {
    const { service, namespace, version } = this.#options;
    return {
      ...this.sidecar.environment(),
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
    const { addresses } = this.sidecar;
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

  /** Gives the instance traffic. While the control plane is away it is tried again, the sidecar serves meanwhile. */
  async register(): Promise<void> {
    if (this.appPort === undefined || this.#ending !== undefined) return;
    const value = registrationOf(
      this.#options,
      this.instanceId,
      this.appPort,
      this.sidecar.addresses.inbound,
    );
    this.#registration = { value, keeper: undefined };
    for (;;) {
      try {
        const keeper = await keepRegistered(this.#client, value, this.#context.clock, this.logger);
        if (this.#ending === undefined) this.#registration = { value, keeper };
        else keeper[Symbol.dispose]();
        return;
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.kind !== "unavailable" && error.kind !== "timeout") throw error;
        this.logger.warn("cannot register yet; trying again", { error });
        await delay(this.#context.clock, 1000);
        if (this.#ending !== undefined) return;
      }
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
    await this.sidecar.drain();
  }
}

/** Where the control plane is and a token to join with; from the last start when it is away now. */
async function joinMesh(
  client: Client,
  account: { readonly namespace: string; readonly serviceAccount: string },
  directory: string,
  logger: Logger,
): Promise<{ readonly controlPlane: KnownControlPlane; readonly joinToken?: string }> {
  const file = join(directory, "control-plane.json");
  try {
    const controlPlane = known(await client.info());
    writeFileSync(`${file}.tmp`, JSON.stringify(controlPlane), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
    const { token } = await client.joinToken(account);
    return { controlPlane, joinToken: token };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.kind !== "unavailable" && error.kind !== "timeout") throw error;
    const controlPlane = readKnown(file);
    if (controlPlane === undefined) throw error;
    logger.warn("the control plane is away: starting with the last known configuration", { error });
    return { controlPlane };
  }
}

function known({ addresses, trustDomain, rootCertificatePem }: MeshInfo): KnownControlPlane {
  return { xds: addresses.xds, trustDomain, rootCertificatePem };
}

function readKnown(file: string): KnownControlPlane | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as KnownControlPlane;
  } catch {
    return undefined;
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

function accessLogSink(text: string): AccessLogSink {
  return text === "stdout" || text === "off" ? text : { file: text };
}
