import { delay, MeshError, parseDuration, type Disposable, type Logger } from "@tulle/base";
import type { Client, ServiceRegistration } from "@tulle/client";

import type { CliContext } from "../context.js";
import { startMember, type Member } from "./member.js";
import { deregister, keepRegistered, registrationOf } from "./registration.js";
import { SidecarPlace } from "./sidecar-place.js";
import { openWorkloadApi, type WorkloadApi } from "./workload-api.js";
import type { WorkloadOptions } from "./workload-options.js";

/**
 * Between deregistering and draining: the removal has reached every proxy long before (a push takes milliseconds),
 * and requests that were on their way when it did have arrived.
 */
const PROPAGATION_MS = 250;
const REGISTER_EVERY_MS = 1000;

/** A member of the mesh: its companion with its registration. What `tulle run` and `tulle sidecar` start. */
export class Workload {
  readonly companion: SidecarPlace;
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

  private constructor(options: WorkloadOptions, context: CliContext, member: Member, api: WorkloadApi) {
    this.#options = options;
    this.#context = context;
    this.#client = member.registering;
    this.#api = api;
    this.instanceId = member.instanceId;
    this.appPort = member.appPort;
    this.logger = member.logger;
    const { instanceId, appPort } = member;
    this.companion = new SidecarPlace({
      first: member.companion,
      instanceId,
      appPort,
      releaseFirst: () => api.close(),
      drainMs: parseDuration(options.drain) ?? 5000,
      retireMs: parseDuration(options.upgradeDrain) ?? 600_000,
      environment: context.environment,
      clock: context.clock,
    });
  }

  /** Joins the mesh and starts the companion; resolves when it can serve. */
  static async start(options: WorkloadOptions, context: CliContext): Promise<Workload> {
    const member = await startMember(options, context);
    const { companion, directory, controlPlane, logger } = member;
    const api = await openWorkloadApi(directory, {
      identity: companion.identity,
      trustDomain: controlPlane.trustDomain,
      controlPlaneAddress: controlPlane.xds,
      clock: context.clock,
      logger,
    });
    return new Workload(options, context, member, api);
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

  /** Has a new sidecar take over, from what is installed now; the present one goes on when it does not get ready. */
  async upgrade(): Promise<void> {
    const { err } = this.#context;
    try {
      const { version, pid } = await this.companion.upgrade();
      err(`tulle: a new sidecar (version ${version}, process ${pid}) has taken over\n`);
    } catch (thrown) {
      const { message } = MeshError.from(thrown);
      err(`tulle: no new sidecar has taken over, the present one goes on: ${message}\n`);
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
