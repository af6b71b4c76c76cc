import { LISTENER_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import type { InboundListener } from "./contract.js";
import { notingRuntimeKeys } from "../route/runtime-values.js";
import type { RouteTable } from "../route/route-table.js";
import { decode } from "./any.js";
import { Chain } from "./chain.js";
import { CompiledDetectedChain } from "./detected-chain.js";
import type { Clusters } from "./clusters.js";
import { invalid } from "./invalid.js";
import { compileListener } from "./listener-settings.js";
import type { Behaviour, ListenerSettings } from "./listener-settings.js";
import { ResourceParts } from "./resource-parts.js";
import type { Routes } from "./routes.js";
import type { Secrets } from "./secrets.js";
import { secretsOfServer } from "./server-tls.js";
import { BytesChain } from "./tcp-settings.js";

/** A listener's behaviour with the tables it uses, and whether all that these name has been answered. */
interface Resolved {
  readonly behaviour: Behaviour;
  readonly table: RouteTable | undefined;
  readonly warm: boolean;
}

/** What a listener serves at present. */
export interface ActiveListener {
  readonly settings: ListenerSettings;
  readonly resolved: readonly Resolved[];
  readonly warm: boolean;
  readonly value: Chain | BytesChain | CompiledDetectedChain | InboundListener;
}

/**
 * Listeners joined with their route tables. A change becomes active when every cluster that it leads to has been
 * answered; until then the listener serves what it served, so that a new route never sends requests into a cluster
 * that is still on its way. A listener that serves nothing yet becomes visible at once, as not warm.
 */
export class Listeners {
  readonly parts = new ResourceParts<ListenerSettings>(LISTENER_TYPE);
  readonly #routes: Routes;
  readonly #clusters: Clusters;
  readonly #secrets: Secrets;
  /** Those that name a runtime key. */
  readonly #usingRuntime = new WeakSet<ListenerSettings>();
  #active: ReadonlyMap<string, ActiveListener> = new Map();

  constructor(routes: Routes, clusters: Clusters, secrets: Secrets) {
    this.#routes = routes;
    this.#clusters = clusters;
    this.#secrets = secrets;
  }

  /** What each listener serves; another map after every change, the same one without. */
  get active(): ReadonlyMap<string, ActiveListener> {
    return this.#active;
  }

  apply(name: string, version: string, bytes: Uint8Array): void {
    let settings = this.parts.unchanged(name, bytes);
    if (settings === undefined) {
      const message = decode("listener", ListenerSchema, bytes);
      if (message.name !== name)
        throw invalid("name", `is ${JSON.stringify(message.name)} in the resource ${JSON.stringify(name)}`);
      const made = notingRuntimeKeys(() => compileListener(message));
      settings = made.part;
      if (made.usesRuntime) this.#usingRuntime.add(settings);
    }
    this.parts.set(name, version, bytes, settings);
  }

  /** Activates what can be activated. Call after every change of listeners, routes or clusters. */
  refresh(): void {
    const changed = new Map<string, ActiveListener | undefined>();
    for (const name of this.#active.keys())
      if (this.parts.get(name) === undefined) changed.set(name, undefined);
    for (const name of this.parts.names()) {
      const before = this.#active.get(name);
      const after = this.#activate(this.parts.get(name)!, before);
      if (after !== before) changed.set(name, after);
    }
    if (changed.size === 0) return;
    const active = new Map(this.#active);
    for (const [name, listener] of changed) {
      if (listener === undefined) active.delete(name);
      else active.set(name, listener);
    }
    this.#active = active;
  }

  /** Names of the route tables, clusters and Secrets that a listener needs: for what it serves and for what is to come. */
  references(name: string): {
    readonly routes: Set<string>;
    readonly clusters: Set<string>;
    readonly secrets: Set<string>;
  } {
    const routes = new Set<string>();
    const clusters = new Set<string>();
    const secrets = new Set<string>();
    const add = (behaviour: Behaviour, table: RouteTable | undefined): void => {
      if ("http" in behaviour && "rds" in behaviour.http.routes) routes.add(behaviour.http.routes.rds);
      for (const cluster of clustersOf(behaviour, table)) clusters.add(cluster);
    };
    const settings = this.parts.get(name);
    if (settings !== undefined) for (const each of behavioursOf(settings)) add(each, this.#table(each));
    const active = this.#active.get(name);
    for (const { behaviour, table } of active?.resolved ?? []) add(behaviour, table);
    for (const each of [settings, active?.settings])
      if (each !== undefined) for (const secret of secretsOf(each)) secrets.add(secret);
    return { routes, clusters, secrets };
  }

  /** Whether a listener, apart from its route tables, names a runtime key. */
  usesRuntime(name: string): boolean {
    const settings = this.parts.get(name);
    return settings !== undefined && this.#usingRuntime.has(settings);
  }

  #activate(settings: ListenerSettings, before: ActiveListener | undefined): ActiveListener {
    const behaviours = behavioursOf(settings);
    const tables = behaviours.map((behaviour) => this.#table(behaviour));
    const same =
      before?.settings === settings && before.resolved.every(({ table }, index) => table === tables[index]);
    if (same && before.warm) return before;
    const resolved = behaviours.map((behaviour, index) => ({
      behaviour,
      table: tables[index],
      warm: this.#isWarm(behaviour, tables[index]),
    }));
    const warm =
      resolved.every((one) => one.warm) &&
      secretsOf(settings).every((secret) => this.#secrets.parts.isAnswered(secret));
    if (before !== undefined) {
      if (before.warm && !warm) return before;
      if (
        same &&
        warm === before.warm &&
        resolved.every((one, index) => one.warm === before.resolved[index]!.warm)
      )
        return before;
    }
    return { settings, resolved, warm, value: createValue(settings, resolved, warm) };
  }

  #table(behaviour: Behaviour): RouteTable | undefined {
    if ("tcp" in behaviour) return undefined;
    const { routes, idleTimeoutMs } = behaviour.http;
    return "rds" in routes ? this.#routes.table(routes.rds, idleTimeoutMs) : routes.table;
  }

  #isWarm(behaviour: Behaviour, table: RouteTable | undefined): boolean {
    if ("http" in behaviour && table === undefined) {
      const { routes } = behaviour.http;
      return "rds" in routes && this.#routes.parts.isAnswered(routes.rds);
    }
    return clustersOf(behaviour, table).every((name) => this.#clusters.isAnswered(name));
  }
}

function behavioursOf(settings: ListenerSettings): readonly Behaviour[] {
  return settings.kind === "authority"
    ? [settings.behaviour]
    : settings.chains.map(({ behaviour }) => behaviour);
}

function secretsOf(settings: ListenerSettings): readonly string[] {
  if (settings.kind === "authority") return [];
  return settings.chains.flatMap(({ tls }) => (tls === undefined ? [] : secretsOfServer(tls)));
}

function clustersOf(behaviour: Behaviour, table: RouteTable | undefined): readonly string[] {
  if ("tcp" in behaviour) return behaviour.tcp.clusters;
  const { askedClusters } = behaviour.http;
  const routed = table?.clusters ?? [];
  return askedClusters.length === 0 ? routed : [...askedClusters, ...routed];
}

function createChain({ behaviour, table, warm }: Resolved): Chain | BytesChain {
  return "tcp" in behaviour
    ? new BytesChain(behaviour.tcp, warm)
    : new Chain(behaviour.http.chain, table, warm);
}

function createValue(
  settings: ListenerSettings,
  resolved: readonly Resolved[],
  warm: boolean,
): ActiveListener["value"] {
  const chains = resolved.map(createChain);
  if (settings.kind === "authority") return chains[0]!;
  if (settings.kind === "detected") {
    return new CompiledDetectedChain(
      settings.name,
      settings.silenceMs,
      settings.chains,
      settings.taking,
      chains,
    );
  }
  return {
    name: settings.name,
    silenceMs: settings.silenceMs,
    port: settings.port,
    direction: settings.direction,
    warm,
    addresses: settings.addresses,
    proxyProtocol: settings.proxyProtocol,
    meshTls: settings.meshTls,
    chains: settings.chains.map(
      (
        {
          name,
          destinationPort,
          isDefault,
          serverNames,
          sources,
          applicationProtocols,
          transport,
          trustDomains,
          tls,
        },
        index,
      ) => {
        const chain = chains[index]!;
        return {
          name,
          destinationPort,
          isDefault,
          serverNames,
          sources,
          applicationProtocols,
          transport,
          trustDomains,
          tls,
          http: chain.protocol === "http" ? chain : undefined,
          tcp: chain.protocol === "tcp" ? chain : undefined,
        };
      },
    ),
  };
}
