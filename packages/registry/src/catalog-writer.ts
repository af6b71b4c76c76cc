import type { Clock, Logger } from "@tulle/base";
import type { MemoryCatalog } from "./catalog.js";
import { stampAll, successor } from "./check-states.js";
import type { CheckDefinition, NodeDefinition, ServiceDefinition } from "./definition.js";
import { checkIdTaken, recordTooLarge, registryFull, storeFailed, unknownService } from "./errors.js";
import { isService, type CheckOwner, type HealthTracker } from "./health-tracker.js";
import { KeyedQueue } from "./keyed-queue.js";
import type { RegistryPersistence } from "./persistence.js";
import {
  encodeNode,
  encodeService,
  MAX_RECORD_BYTES,
  nodeRecordKey,
  serviceRecordKey,
} from "./record-codec.js";
import {
  SERVICE_MAINTENANCE_PREFIX,
  serviceKey,
  type WritableCheck,
  type WritableNode,
  type WritableService,
} from "./state.js";

export interface CatalogWriterOptions {
  readonly catalog: MemoryCatalog;
  /** The own node. */
  readonly self: WritableNode;
  readonly health: HealthTracker;
  readonly persistence: RegistryPersistence;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxServices: number;
  /** Begins a change of the catalog. */
  readonly nextIndex: () => number;
}

const MAX_PENDING_WRITES = 10_000;

/**
 * Makes the changes of the catalog, those of one record one after the other: first stored, then shown. What it is
 * given must be valid.
 */
export class CatalogWriter {
  readonly #options: CatalogWriterOptions;
  readonly #writes = new KeyedQueue(MAX_PENDING_WRITES);
  /** Records that wait to be written again because of a check result. */
  readonly #dirty = new Set<string>();

  constructor(options: CatalogWriterOptions) {
    this.#options = options;
  }

  /** Resolves when everything that was asked for by now is stored. */
  async idle(): Promise<void> {
    await this.#writes.idle();
  }

  putService(
    node: WritableNode,
    definition: ServiceDefinition,
    given: readonly WritableCheck[],
    replaceChecks: boolean,
  ): Promise<void> {
    const { namespace, id } = definition;
    return this.#writes.run(this.#serviceRecordKey(node, namespace, id), async () => {
      const previous = node.services.get(serviceKey(namespace, id));
      const limit = this.#options.maxServices;
      if (previous === undefined && this.#options.catalog.registrationCount >= limit)
        throw registryFull(limit);
      const checks = new Map<string, WritableCheck>();
      for (const [checkId, check] of previous?.checks ?? []) {
        if (!replaceChecks || checkId.startsWith(SERVICE_MAINTENANCE_PREFIX)) checks.set(checkId, check);
      }
      for (const check of given) {
        const checkId = check.definition.id;
        if (node === this.#options.self) this.refuseTakenId(check.definition, previous);
        checks.set(checkId, successor(previous?.checks.get(checkId), check));
      }
      await this.#storeService(previous, { node, definition, checks, createIndex: 0, modifyIndex: 0 });
    });
  }

  /** Stores a service's new state and puts it in the place of the previous. Nothing new = nothing done. */
  async #storeService(previous: WritableService | undefined, next: WritableService): Promise<void> {
    const encoded = encodeService(next);
    if (previous !== undefined && encoded.equals(encodeService(previous))) return;
    if (encoded.length > MAX_RECORD_BYTES) throw recordTooLarge(MAX_RECORD_BYTES);
    const { namespace, id } = next.definition;
    await this.#options.persistence
      .put(this.#serviceRecordKey(next.node, namespace, id), encoded)
      .catch(storeFailed);
    const index = this.#options.nextIndex();
    // From the previous state as it is now: results that came while this was written hold.
    next.checks = stampAll(next.checks, previous?.checks, index, this.#options.clock.monotonic());
    next.createIndex = previous?.createIndex ?? index;
    next.modifyIndex = index;
    this.#options.catalog.putService(next);
    if (next.node === this.#options.self) this.#options.health.adopt(previous, next);
    this.#options.catalog.commit();
  }

  async removeService(node: WritableNode, namespace: string, id: string): Promise<boolean> {
    const recordKey = this.#serviceRecordKey(node, namespace, id);
    return await this.#writes.run(recordKey, async () => {
      const service = node.services.get(serviceKey(namespace, id));
      if (service === undefined) return false;
      await this.#options.persistence.delete(recordKey).catch(storeFailed);
      this.#options.nextIndex();
      this.#options.catalog.removeService(service);
      if (node === this.#options.self) this.#options.health.adopt(service, undefined);
      this.#options.catalog.commit();
      return true;
    });
  }

  /** Changes the checks of a service of the own node, or of the node itself when `serviceId` is empty. */
  async changeChecks(
    namespace: string,
    serviceId: string,
    change: (owner: CheckOwner) => Map<string, WritableCheck>,
    node: WritableNode = this.#options.self,
  ): Promise<void> {
    if (serviceId === "") {
      await this.#writes.run(this.#nodeRecordKey(node), () =>
        this.#storeNode(node, node.definition, change(node)),
      );
      return;
    }
    await this.#writes.run(this.#serviceRecordKey(node, namespace, serviceId), async () => {
      const service = node.services.get(serviceKey(namespace, serviceId));
      if (service === undefined) throw unknownService(serviceId);
      await this.#storeService(service, { ...service, checks: change(service) });
    });
  }

  async putNode(definition: NodeDefinition, given: readonly WritableCheck[]): Promise<WritableNode> {
    const own = definition.name.toLowerCase() === this.#options.self.definition.name.toLowerCase();
    return await this.#writes.run(nodeRecordKey(own ? undefined : definition.name), async () => {
      const node: WritableNode = this.#options.catalog.node(definition.name) ?? {
        definition,
        checks: new Map(),
        services: new Map(),
        createIndex: 0,
        modifyIndex: 0,
      };
      const checks = new Map(node.checks);
      for (const check of given) checks.set(check.definition.id, check);
      // The own node's name and address are not for others to change.
      await this.#storeNode(node, own ? node.definition : definition, checks);
      return node;
    });
  }

  async #storeNode(
    node: WritableNode,
    definition: NodeDefinition,
    checks: ReadonlyMap<string, WritableCheck>,
  ): Promise<void> {
    const encoded = encodeNode({ definition, checks });
    const isNew = this.#options.catalog.node(definition.name) === undefined;
    if (!isNew && encoded.equals(encodeNode(node))) return;
    if (encoded.length > MAX_RECORD_BYTES) throw recordTooLarge(MAX_RECORD_BYTES);
    await this.#options.persistence.put(this.#nodeRecordKey(node), encoded).catch(storeFailed);
    const index = this.#options.nextIndex();
    const previousChecks = node.checks;
    node.definition = definition;
    node.createIndex = isNew ? index : node.createIndex;
    node.modifyIndex = index;
    node.checks = stampAll(checks, previousChecks, index, this.#options.clock.monotonic());
    if (node === this.#options.self) {
      for (const [checkId, check] of previousChecks) {
        if (!node.checks.has(checkId)) this.#options.health.release(node, check);
      }
      this.#options.health.adopt(undefined, node);
    }
    this.#options.catalog.putNode(node);
    this.#options.catalog.touchChecks(node);
    this.#options.catalog.commit();
  }

  async removeCheck(node: WritableNode, namespace: string, checkId: string): Promise<void> {
    const service = [...node.services.values()].find(
      ({ definition, checks }) => definition.namespace === namespace && checks.has(checkId),
    );
    if (service === undefined && !node.checks.has(checkId)) return;
    const without = ({ checks }: CheckOwner): Map<string, WritableCheck> => {
      const rest = new Map(checks);
      rest.delete(checkId);
      return rest;
    };
    await this.changeChecks(namespace, service?.definition.id ?? "", without, node);
  }

  async removeNode(node: WritableNode): Promise<void> {
    for (const { definition } of node.services.values()) {
      await this.removeService(node, definition.namespace, definition.id);
    }
    // The own node stays: it is this process.
    if (node === this.#options.self) return;
    const recordKey = this.#nodeRecordKey(node);
    await this.#writes.run(recordKey, async () => {
      if (node.services.size > 0 || this.#options.catalog.node(node.definition.name) !== node) return;
      await this.#options.persistence.delete(recordKey).catch(storeFailed);
      this.#options.nextIndex();
      this.#options.catalog.removeNode(node);
      this.#options.catalog.commit();
    });
  }

  /** Writes a record again, with whatever its checks say when its turn comes. */
  storeSoon(owner: CheckOwner): void {
    const { namespace, id } = isService(owner) ? owner.definition : { namespace: "", id: "" };
    const recordKey = isService(owner)
      ? this.#serviceRecordKey(this.#options.self, namespace, id)
      : nodeRecordKey(undefined);
    if (this.#dirty.has(recordKey)) return;
    this.#dirty.add(recordKey);
    const write = async (): Promise<void> => {
      this.#dirty.delete(recordKey);
      const current = isService(owner)
        ? this.#options.self.services.get(serviceKey(namespace, id))
        : this.#options.self;
      if (current === undefined) return;
      const encoded = isService(current) ? encodeService(current) : encodeNode(current);
      await this.#options.persistence.put(recordKey, encoded);
    };
    this.#writes.run(recordKey, write).catch((error: unknown) => {
      this.#dirty.delete(recordKey);
      this.#options.logger.warn("a check's status is not stored; its next change will be", { error });
    });
  }

  /** A check id belongs to one service: results are told by it alone. */
  refuseTakenId({ namespace, id }: CheckDefinition, owner: CheckOwner | undefined): void {
    const holder = this.#options.health.owner(namespace, id);
    if (holder !== undefined && holder !== owner) throw checkIdTaken(id);
  }

  #serviceRecordKey(node: WritableNode, namespace: string, id: string): string {
    return serviceRecordKey(node === this.#options.self ? undefined : node.definition.name, namespace, id);
  }

  #nodeRecordKey(node: WritableNode): string {
    return nodeRecordKey(node === this.#options.self ? undefined : node.definition.name);
  }
}
