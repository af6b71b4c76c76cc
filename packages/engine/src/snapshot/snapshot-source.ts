import { MeshError } from "@tulle/base";
import {
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  LISTENER_TYPE,
  RESOLVED_NAMES_TYPE,
  ROUTE_TYPE,
  RUNTIME_TYPE,
  SECRET_TYPE,
} from "@tulle/xds";
import type { DnsSettings, Rejection, ResourceChange, Snapshot, SnapshotSource } from "./contract.js";
import type { SlotTable } from "../load/load-table.js";
import { Clusters } from "./clusters.js";
import { Listeners } from "./listeners.js";
import { Routes } from "./routes.js";
import { RUNTIME_LAYER, RuntimeLayer } from "./runtime-layer.js";
import { Secrets } from "./secrets.js";
import { CompiledSnapshot } from "./snapshot.js";

export interface SnapshotSourceOptions {
  /** Where endpoints and clusters get their slots; the same table goes into every DecisionView. */
  readonly load: SlotTable;
  /**
   * Whether somebody looks up the names of clusters' endpoints (`SnapshotSource.named`) and applies what they stand for.
   * Default false: endpoints have their names for addresses.
   */
  readonly resolvesNames?: boolean;
}

/** Makes a source without any resources. */
export function createSnapshotSource(options: SnapshotSourceOptions): SnapshotSource {
  return new CompilingSource(options.load, options.resolvesNames ?? false);
}

/** How one type of resource is taken in. */
interface Intake {
  apply(name: string, version: string, bytes: Uint8Array): void;
  remove(name: string): void;
  refuse(name: string): void;
  forget(name: string): void;
  version(name: string): string;
}

class CompilingSource implements SnapshotSource {
  readonly #secrets = new Secrets();
  readonly #runtime = new RuntimeLayer();
  readonly #clusters: Clusters;
  readonly #routes = new Routes();
  readonly #listeners: Listeners;
  readonly #intakes: ReadonlyMap<string, Intake>;
  #current: CompiledSnapshot;

  constructor(load: SlotTable, resolvesNames: boolean) {
    this.#clusters = new Clusters(load, this.#secrets, resolvesNames);
    this.#listeners = new Listeners(this.#routes, this.#clusters, this.#secrets);
    this.#current = new CompiledSnapshot(
      0,
      this.#listeners.active,
      new Set(),
      this.#clusters.linked,
      this.#secrets.all,
      this.#runtime.values,
    );
    const runtime = this.#runtime;
    const clusters = this.#clusters;
    const routes = this.#routes;
    const listeners = this.#listeners;
    const secrets = this.#secrets;
    this.#intakes = new Map<string, Intake>([
      [
        CLUSTER_TYPE,
        {
          apply: (name, version, bytes) => clusters.applyCluster(name, version, bytes),
          remove: (name) => clusters.removeCluster(name),
          refuse: (name) => clusters.refuseCluster(name),
          forget: (name) => clusters.forgetCluster(name),
          version: (name) => clusters.settings.version(name),
        },
      ],
      [
        ENDPOINT_TYPE,
        {
          apply: (name, version, bytes) => clusters.applyAssignment(name, version, bytes),
          remove: (name) => clusters.removeAssignment(name),
          refuse: (name) => clusters.refuseAssignment(name),
          forget: (name) => clusters.forgetAssignment(name),
          version: (name) => clusters.assignments.version(name),
        },
      ],
      [
        RESOLVED_NAMES_TYPE,
        {
          apply: (name, version, bytes) => clusters.applyResolved(name, version, bytes),
          remove: (name) => clusters.forgetResolved(name),
          refuse: () => undefined,
          forget: (name) => clusters.forgetResolved(name),
          version: (name) => clusters.resolved.version(name),
        },
      ],
      [
        ROUTE_TYPE,
        {
          apply: (name, version, bytes) => routes.apply(name, version, bytes),
          remove: (name) => routes.parts.remove(name),
          refuse: (name) => routes.parts.refuse(name),
          forget: (name) => routes.parts.forget(name),
          version: (name) => routes.parts.version(name),
        },
      ],
      [
        LISTENER_TYPE,
        {
          apply: (name, version, bytes) => listeners.apply(name, version, bytes),
          remove: (name) => listeners.parts.remove(name),
          refuse: (name) => listeners.parts.refuse(name),
          forget: (name) => listeners.parts.forget(name),
          version: (name) => listeners.parts.version(name),
        },
      ],
      [
        SECRET_TYPE,
        {
          apply: (name, version, bytes) => secrets.apply(name, version, bytes),
          remove: (name) => secrets.parts.remove(name),
          refuse: (name) => secrets.parts.refuse(name),
          forget: (name) => secrets.parts.forget(name),
          version: (name) => secrets.parts.version(name),
        },
      ],
      [
        RUNTIME_TYPE,
        {
          apply: (name, version, bytes) => runtime.apply(name, version, bytes),
          remove: (name) => runtime.parts.remove(name),
          refuse: (name) => runtime.parts.refuse(name),
          forget: (name) => runtime.parts.forget(name),
          version: (name) => runtime.parts.version(name),
        },
      ],
    ]);
  }

  get current(): Snapshot {
    return this.#current;
  }

  apply(changes: readonly ResourceChange[]): readonly Rejection[] {
    const rejections: Rejection[] = [];
    for (const change of changes) {
      const { typeUrl, name } = change;
      const intake = this.#intakes.get(typeUrl);
      if (intake === undefined) {
        rejections.push({ name, message: `resources of type ${typeUrl} are not supported` });
        continue;
      }
      try {
        if (change.bytes === undefined) intake.remove(name);
        else intake.apply(name, change.version, change.bytes);
      } catch (thrown) {
        intake.refuse(name);
        rejections.push({ name, message: MeshError.from(thrown).message });
      }
    }
    this.#refresh();
    return rejections;
  }

  forget(typeUrl: string, names: Iterable<string>): void {
    const intake = this.#intakes.get(typeUrl);
    if (intake === undefined) return;
    for (const name of names) intake.forget(name);
    this.#refresh();
  }

  wanted(rootListeners: Iterable<string>): ReadonlyMap<string, ReadonlySet<string>> {
    const listeners = new Set(rootListeners);
    const routes = new Set<string>();
    const clusters = new Set<string>();
    const assignments = new Set<string>();
    const secrets = new Set<string>();
    const runtime = new Set<string>();
    for (const name of listeners) {
      const references = this.#listeners.references(name);
      for (const route of references.routes) routes.add(route);
      for (const cluster of references.clusters) clusters.add(cluster);
      for (const secret of references.secrets) secrets.add(secret);
      if (this.#listeners.usesRuntime(name)) runtime.add(RUNTIME_LAYER);
    }
    for (const name of routes)
      if (this.#routes.parts.get(name)?.usesRuntime === true) runtime.add(RUNTIME_LAYER);
    const all = this.#clusters.withMembers(clusters);
    for (const name of all) {
      const settings = this.#clusters.settings.get(name);
      if (settings === undefined) continue;
      if ("eds" in settings.endpoints) assignments.add(settings.endpoints.eds);
      for (const secret of settings.transport.secrets) secrets.add(secret);
    }
    return new Map([
      [LISTENER_TYPE, listeners],
      [ROUTE_TYPE, routes],
      [CLUSTER_TYPE, all],
      [ENDPOINT_TYPE, assignments],
      [SECRET_TYPE, secrets],
      [RUNTIME_TYPE, runtime],
    ]);
  }

  named(): Iterable<readonly [string, DnsSettings]> {
    return this.#clusters.named();
  }

  *resources(): Iterable<ResourceChange> {
    yield* this.#clusters.settings.resources();
    yield* this.#clusters.assignments.resources();
    yield* this.#clusters.resolved.resources();
    yield* this.#listeners.parts.resources();
    yield* this.#routes.parts.resources();
    yield* this.#secrets.parts.resources();
    yield* this.#runtime.parts.resources();
  }

  version(typeUrl: string, name: string): string {
    return this.#intakes.get(typeUrl)?.version(name) ?? "";
  }

  /** Makes the next snapshot, if anything that can be seen of it has changed. */
  #refresh(): void {
    this.#listeners.refresh();
    const absent = sameOrNew(this.#current.absentListeners, this.#listeners.parts.absentNames());
    const { active } = this.#listeners;
    const { linked } = this.#clusters;
    const { all } = this.#secrets;
    const { values } = this.#runtime;
    const before = this.#current;
    const same = active === before.listeners && linked === before.linkedClusters && all === before.secrets;
    if (same && absent === before.absentListeners && values === before.runtime) return;
    this.#current = new CompiledSnapshot(before.sequence + 1, active, absent, linked, all, values);
  }
}

function sameOrNew(before: ReadonlySet<string>, now: Iterable<string>): ReadonlySet<string> {
  const after = new Set(now);
  if (after.size !== before.size) return after;
  for (const name of after) if (!before.has(name)) return after;
  return before;
}
