import { isProtected } from "@tulle/api";
import { MeshError, type Clock, type Logger, type Timer } from "@tulle/base";
import { aliasedHealth } from "./aliased-health.js";
import { CatalogWriter } from "./catalog-writer.js";
import { MemoryCatalog } from "./catalog.js";
import { ChangeIndex } from "./change-index.js";
import { freshCheck, successor, withMaintenance } from "./check-states.js";
import { probeOverNetwork } from "./checks/probe.js";
import {
  CHECK_DEFAULTS,
  DEFAULT_NAMESPACE,
  type CheckDefinition,
  type CheckStatus,
  type NodeDefinition,
  type ServiceDefinition,
} from "./definition.js";
import { storeFailed, unknownCheck, unknownService } from "./errors.js";
import { HealthTracker, isService } from "./health-tracker.js";
import { IndexReserve } from "./index-reserve.js";
import { loadRecords } from "./load.js";
import { nodeIdOf } from "./node-id.js";
import { INDEX_KEY } from "./record-codec.js";
import type { NodeRegistration, Registry, RegistryOptions } from "./registry.js";
import {
  NODE_MAINTENANCE_ID,
  SERVICE_MAINTENANCE_PREFIX,
  serviceKey,
  type WritableCheck,
  type WritableNode,
} from "./state.js";
import {
  assertValid,
  nameWarning,
  validateCheck,
  validateChecks,
  validateNode,
  validateService,
} from "./validate.js";

const REAPER_PERIOD_MS = 30_000;
/** Instances of a protected service that were silent for this long are gone. */
const KEEP_SILENT_MS = 24 * 3_600_000;

/** The registry of this process: see {@link Registry}. */
export class LocalRegistry implements Registry {
  readonly catalog: MemoryCatalog;
  readonly datacenter: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly #options: RegistryOptions;
  readonly #logger: Logger;
  readonly #reserve: IndexReserve;
  readonly #self: WritableNode;
  readonly #health: HealthTracker;
  readonly #writer: CatalogWriter;
  #reaper: Timer | undefined;
  #disposed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.random = options.random;
    this.#logger = options.logger;
    this.datacenter = options.datacenter ?? "dc1";
    const { name, address } = options.node ?? { name: "tulle", address: "127.0.0.1" };
    this.nodeName = name;
    this.#reserve = new IndexReserve(options.persistence, this.#logger);
    const index = new ChangeIndex(1, options.maxWaiters ?? 10_000);
    this.catalog = new MemoryCatalog(index, (error) =>
      this.#logger.error("a listener of the catalog failed", { error }),
    );
    const definition: NodeDefinition = { name, address, id: nodeIdOf(name), meta: {}, taggedAddresses: {} };
    assertValid("node", validateNode(definition));
    this.#self = { definition, checks: new Map(), services: new Map(), createIndex: 1, modifyIndex: 1 };
    const nextIndex = (): number => {
      const next = index.next();
      this.#reserve.used(next);
      return next;
    };
    this.#health = new HealthTracker({
      clock: options.clock,
      random: options.random,
      probe: options.probe ?? probeOverNetwork,
      maxConcurrent: options.maxConcurrentChecks ?? 256,
      enabled: options.checksEnabled ?? true,
      nextIndex,
      aliased: (check) => aliasedHealth(this.catalog, this.nodeName, check),
      onTransition: (owner, before, { definition: { id }, status }) => {
        this.catalog.touchChecks(owner);
        this.catalog.commit();
        this.#logger.info("check changed", { check: id, from: before, to: status });
        this.#writer.storeSoon(owner);
      },
    });
    // Follows what alias checks stand for: once for all that changes in one turn.
    let following = false;
    this.catalog.onChecksChanged(() => {
      if (following) return;
      following = true;
      queueMicrotask(() => {
        following = false;
        if (!this.#disposed) this.#health.followAliases();
      });
    });
    this.#writer = new CatalogWriter({
      catalog: this.catalog,
      self: this.#self,
      health: this.#health,
      persistence: options.persistence,
      clock: options.clock,
      logger: options.logger,
      maxServices: options.maxServices ?? 100_000,
      nextIndex,
    });
  }

  async start(): Promise<void> {
    const entries = await this.#options.persistence.load().catch(storeFailed);
    const mark = entries.find(({ key }) => key === INDEX_KEY);
    this.catalog.index.restart(await this.#reserve.start(mark?.value));
    if (this.#disposed) return;
    const index = this.catalog.index.next();
    Object.assign(this.#self, { createIndex: index, modifyIndex: index });
    this.catalog.putNode(this.#self);
    const nowMs = this.clock.monotonic();
    loadRecords(entries, { catalog: this.catalog, self: this.#self, index, nowMs, logger: this.#logger });
    this.#health.adopt(undefined, this.#self);
    for (const service of this.#self.services.values()) this.#health.adopt(undefined, service);
    this.#health.start();
    this.#reaper = this.clock.setInterval(() => void this.#reap(), REAPER_PERIOD_MS, { keepAlive: false });
    this.catalog.commit();
    this.#health.followAliases();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#reaper?.[Symbol.dispose]();
    this.#health[Symbol.dispose]();
  }

  async stored(): Promise<void> {
    await this.#writer.idle();
    await this.#reserve.idle();
  }

  async registerService(
    service: ServiceDefinition,
    checks: readonly CheckDefinition[],
    options: { readonly replaceChecks?: boolean } = {},
  ): Promise<void> {
    assertValid("service registration", [...validateService(service), ...validateChecks(checks)]);
    const { namespace, id } = service;
    const own = checks.map((check) => freshCheck(this.#effective({ ...check, namespace, serviceId: id })));
    await this.#writer.putService(this.#self, service, own, options.replaceChecks ?? false);
    const warning = nameWarning(service);
    if (warning !== undefined) this.#logger.warn(warning, { id });
  }

  async deregisterService(namespace: string, id: string): Promise<void> {
    if (!(await this.#writer.removeService(this.#self, namespace, id))) throw unknownService(id);
    this.#logger.info("service deregistered", { namespace, id });
  }

  async registerCheck(given: CheckDefinition): Promise<void> {
    assertValid("check", validateCheck(given));
    const check = this.#effective(
      given.serviceId === "" ? { ...given, namespace: DEFAULT_NAMESPACE } : given,
    );
    await this.#writer.changeChecks(check.namespace, check.serviceId, (owner) => {
      this.#writer.refuseTakenId(check, owner);
      return new Map(owner.checks).set(check.id, successor(owner.checks.get(check.id), freshCheck(check)));
    });
  }

  async deregisterCheck(namespace: string, checkId: string): Promise<void> {
    const owner = this.#health.owner(namespace, checkId);
    if (owner === undefined) throw unknownCheck(checkId);
    await this.#writer.changeChecks(namespace, isService(owner) ? owner.definition.id : "", ({ checks }) => {
      const rest = new Map(checks);
      if (!rest.delete(checkId)) throw unknownCheck(checkId);
      return rest;
    });
  }

  updateTtlCheck(namespace: string, checkId: string, status: CheckStatus, output: string): void {
    const definition = this.#health.owner(namespace, checkId)?.checks.get(checkId)?.definition;
    if (definition === undefined) throw unknownCheck(checkId);
    if (definition.probe.kind !== "ttl") {
      throw new MeshError(
        "conflict",
        "REGISTRY_NOT_TTL",
        `CheckID "${checkId}" does not have associated TTL`,
      );
    }
    this.#health.tell(definition, status, output);
  }

  async setServiceMaintenance(
    namespace: string,
    id: string,
    enabled: boolean,
    reason: string,
  ): Promise<void> {
    const where = { id: SERVICE_MAINTENANCE_PREFIX + id, namespace, serviceId: id };
    await this.#writer.changeChecks(namespace, id, ({ checks }) =>
      withMaintenance(checks, enabled, where, reason),
    );
  }

  async setNodeMaintenance(enabled: boolean, reason: string): Promise<void> {
    const where = { id: NODE_MAINTENANCE_ID, namespace: DEFAULT_NAMESPACE, serviceId: "" };
    await this.#writer.changeChecks(DEFAULT_NAMESPACE, "", ({ checks }) =>
      withMaintenance(checks, enabled, where, reason),
    );
  }

  async registerNode({ node, service, checks = [] }: NodeRegistration): Promise<void> {
    assertValid("registration", [
      ...validateNode(node),
      ...(service === undefined ? [] : validateService(service)),
      ...validateChecks(checks.map(({ definition }) => definition)),
    ]);
    const given = checks.map(({ definition, output }) => ({ ...freshCheck(definition), output }));
    const target = await this.#writer.putNode(
      node,
      given.filter(({ definition }) => definition.serviceId === ""),
    );
    const byService = new Map<string, WritableCheck[]>();
    if (service !== undefined) byService.set(serviceKey(service.namespace, service.id), []);
    for (const check of given) {
      const { namespace, serviceId } = check.definition;
      if (serviceId === "") continue;
      const key = serviceKey(namespace, serviceId);
      byService.set(key, [...(byService.get(key) ?? []), check]);
    }
    for (const [key, ofService] of byService) {
      const named = service !== undefined && key === serviceKey(service.namespace, service.id);
      const definition = named ? service : target.services.get(key)?.definition;
      if (definition === undefined) throw unknownService(ofService[0]?.definition.serviceId ?? "");
      await this.#writer.putService(target, definition, ofService, false);
    }
  }

  async deregisterNode(
    name: string,
    part?: { readonly namespace: string; readonly serviceId?: string; readonly checkId?: string },
  ): Promise<void> {
    const node = this.catalog.node(name);
    if (node === undefined) return;
    if (part?.serviceId !== undefined) await this.#writer.removeService(node, part.namespace, part.serviceId);
    else if (part?.checkId !== undefined) await this.#writer.removeCheck(node, part.namespace, part.checkId);
    else await this.#writer.removeNode(node);
  }

  async #reap(): Promise<void> {
    const now = this.clock.monotonic();
    for (const { definition, checks } of this.#self.services.values()) {
      // Of a service whose instances fell silent together the last known ones are kept.
      const { instances = [] } = this.catalog.service(definition.namespace, definition.name) ?? {};
      const isKept = isProtected(instances, this.#options.protectThreshold);
      const dead = [...checks.values()].find(
        ({ definition: { deregisterAfterMs }, criticalSinceMs }) =>
          deregisterAfterMs !== undefined &&
          criticalSinceMs !== undefined &&
          now - criticalSinceMs >= (isKept ? Math.max(deregisterAfterMs, KEEP_SILENT_MS) : deregisterAfterMs),
      );
      if (dead === undefined) continue;
      const { namespace, id } = definition;
      this.#logger.warn("service deregistered: critical for too long", {
        namespace,
        id,
        check: dead.definition.id,
      });
      await this.#writer
        .removeService(this.#self, namespace, id)
        .catch((error: unknown) =>
          this.#logger.warn("service not deregistered; the next round tries again", { id, error }),
        );
    }
  }

  /** A check with Consul's lower limits applied. */
  #effective(check: CheckDefinition): CheckDefinition {
    const { minCheckIntervalMs = CHECK_DEFAULTS.minIntervalMs } = this.#options;
    const { intervalMs, deregisterAfterMs } = check;
    return {
      ...check,
      intervalMs: intervalMs === 0 ? 0 : Math.max(intervalMs, minCheckIntervalMs),
      deregisterAfterMs:
        deregisterAfterMs === undefined
          ? undefined
          : Math.max(deregisterAfterMs, CHECK_DEFAULTS.minDeregisterAfterMs),
    };
  }
}
