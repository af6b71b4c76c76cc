import { type Catalog, type CatalogChange, type CatalogService } from "@tulle/api";
import { Emitter, type Event } from "@tulle/base";
import type { ChangeIndex, Topic } from "./change-index.js";
import { toCatalogService, toInstance } from "./instance.js";
import {
  serviceKey,
  type NodeState,
  type ServiceState,
  type WritableNode,
  type WritableService,
} from "./state.js";

/** Read side of the registry, for translation (`Catalog`), for DNS and for the facades. */
export interface RegistryCatalog extends Catalog {
  /** Sent after the catalog shows the change, before the call that made it returns. */
  readonly onChanged: Event<CatalogChange>;
  readonly index: ChangeIndex;
  nodes(): Iterable<NodeState>;
  /** Names of nodes are compared without regard to case. */
  node(name: string): NodeState | undefined;
  /** Registrations under a name (any case), all nodes, ordered by node and id. */
  registrations(namespace: string, name: string): readonly ServiceState[];
  /** All registrations of a namespace, or of all namespaces for `*`. */
  allRegistrations(namespace: string): Iterable<ServiceState>;
}

/** Topic of one service's instances and checks. */
export function serviceTopic(namespace: string, name: string): Topic {
  return `service/${namespace}/${name.toLowerCase()}`;
}

/** Topic of one node, its services and its checks. */
export function nodeTopic(name: string): Topic {
  return `node/${name.toLowerCase()}`;
}

/**
 * Names that the mesh can give a host: one DNS label. Others are kept and answered by Consul's API, but a dot or a
 * `|` in one could be taken for another service's host.
 */
export function isMeshName(name: string): boolean {
  return /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(name);
}

/** The catalog in memory, with the writing side that the registry uses. Writers call `commit` once per change. */
export class MemoryCatalog implements RegistryCatalog {
  readonly index: ChangeIndex;
  readonly #nodes = new Map<string, WritableNode>();
  /** By namespace and lower-case name. */
  readonly #services = new Map<string, Set<WritableService>>();
  /** What translation sees of a service, until it changes. */
  readonly #views = new Map<string, CatalogService>();
  readonly #changed: Emitter<CatalogChange>;
  readonly #checksChanged: Emitter<void>;
  readonly #topics = new Set<Topic>();
  readonly #touched = new Map<string, { namespace: string; name: string }>();
  #registrations = 0;

  constructor(index: ChangeIndex, onListenerError: (thrown: unknown) => void) {
    this.index = index;
    this.#changed = new Emitter(onListenerError);
    this.#checksChanged = new Emitter(onListenerError);
  }

  get onChanged(): Event<CatalogChange> {
    return this.#changed.event;
  }

  /** Some check, or what it belongs to, has come, gone or another status. */
  get onChecksChanged(): Event<void> {
    return this.#checksChanged.event;
  }

  get registrationCount(): number {
    return this.#registrations;
  }

  service(namespace: string, name: string): CatalogService | undefined {
    if (!isMeshName(name)) return undefined;
    const key = serviceKey(namespace, name.toLowerCase());
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const states = this.#services.get(key);
    if (states === undefined) return undefined;
    const instances = [...states]
      .map(toInstance)
      .filter((instance) => instance !== undefined)
      .sort((a, b) => compare(a.id, b.id));
    const view = toCatalogService(namespace, name.toLowerCase(), instances);
    this.#views.set(key, view);
    return view;
  }

  *services(): Iterable<CatalogService> {
    for (const key of this.#services.keys()) {
      const at = key.indexOf("\0");
      const service = this.service(key.slice(0, at), key.slice(at + 1));
      if (service !== undefined) yield service;
    }
  }

  nodes(): Iterable<NodeState> {
    return this.#nodes.values();
  }

  node(name: string): WritableNode | undefined {
    return this.#nodes.get(name.toLowerCase());
  }

  registrations(namespace: string, name: string): readonly ServiceState[] {
    const states = this.#services.get(serviceKey(namespace, name.toLowerCase())) ?? [];
    return [...states].sort(
      (a, b) =>
        compare(a.node.definition.name, b.node.definition.name) || compare(a.definition.id, b.definition.id),
    );
  }

  *allRegistrations(namespace: string): Iterable<WritableService> {
    for (const node of this.#nodes.values()) {
      for (const service of node.services.values()) {
        if (namespace === "*" || service.definition.namespace === namespace) yield service;
      }
    }
  }

  putNode(node: WritableNode): void {
    this.#nodes.set(node.definition.name.toLowerCase(), node);
    this.#touch("nodes", nodeTopic(node.definition.name));
    // Services without an address of their own have the node's.
    for (const service of node.services.values()) this.touchService(service);
  }

  /** The node must have no services any more. */
  removeNode(node: WritableNode): void {
    this.#nodes.delete(node.definition.name.toLowerCase());
    this.#touch("nodes", "checks");
    this.#topics.add(nodeTopic(node.definition.name));
    this.index.remove(nodeTopic(node.definition.name), this.index.current);
  }

  /** Adds a registration, in the place of the one with its id. */
  putService(service: WritableService): void {
    const { namespace, id, name } = service.definition;
    const key = serviceKey(namespace, id);
    const previous = service.node.services.get(key);
    if (previous !== undefined) this.removeService(previous);
    service.node.services.set(key, service);
    const byName = serviceKey(namespace, name.toLowerCase());
    const states = this.#services.get(byName) ?? new Set();
    this.#services.set(byName, states.add(service));
    this.#registrations += 1;
    this.touchService(service);
    this.#touch("services", "checks", nodeTopic(service.node.definition.name));
  }

  removeService(service: WritableService): void {
    const { namespace, id, name } = service.definition;
    if (!service.node.services.delete(serviceKey(namespace, id))) return;
    this.#registrations -= 1;
    const byName = serviceKey(namespace, name.toLowerCase());
    const states = this.#services.get(byName);
    states?.delete(service);
    this.touchService(service);
    this.#touch("services", "checks", nodeTopic(service.node.definition.name));
    if (states?.size === 0) {
      this.#services.delete(byName);
      this.index.remove(serviceTopic(namespace, name), this.index.current);
    }
  }

  /** A check of the node (every service there changes) or of one service has another status now. */
  touchChecks(owner: WritableNode | WritableService): void {
    this.#touch("checks");
    if ("node" in owner) {
      this.touchService(owner);
      this.#touch(nodeTopic(owner.node.definition.name));
    } else {
      for (const service of owner.services.values()) this.touchService(service);
      this.#touch(nodeTopic(owner.definition.name));
    }
  }

  touchService({ definition: { namespace, name } }: ServiceState): void {
    const key = serviceKey(namespace, name.toLowerCase());
    this.#views.delete(key);
    this.#touched.set(key, { namespace, name: name.toLowerCase() });
    this.#touch(serviceTopic(namespace, name));
  }

  /** Tells everybody who waits or listens. Before: `index.next()`, then the calls that change something. */
  commit(): void {
    const topics = [...this.#topics];
    const services = [...this.#touched.values()];
    this.#topics.clear();
    this.#touched.clear();
    if (services.length > 0) this.#changed.emit({ services });
    for (const topic of topics) this.index.announce(topic);
    if (topics.includes("checks")) this.#checksChanged.emit();
  }

  #touch(...topics: readonly Topic[]): void {
    for (const topic of topics) {
      this.index.touch(topic, this.index.current);
      this.#topics.add(topic);
    }
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
