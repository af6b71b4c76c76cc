import { CLUSTER_TYPE, ENDPOINT_TYPE, RESOLVED_NAMES_TYPE } from "@tulle/xds";
import { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ResolvedNamesSchema } from "@tulle/xds/gen/tulle/v1/resolved_names_pb.js";
import type { SlotTable } from "../load/load-table.js";
import { decode } from "./any.js";
import { compileAssignment, NO_ENDPOINTS } from "./assignment.js";
import type { Assignment } from "./assignment.js";
import { ClusterLinker } from "./cluster-linker.js";
import { compileCluster } from "./cluster-settings.js";
import type { ClusterSettings } from "./cluster-settings.js";
import { withAddresses, type DnsSettings } from "./dns-settings.js";
import { invalid } from "./invalid.js";
import type { LinkedCluster } from "./linked-cluster.js";
import { ResourceParts } from "./resource-parts.js";
import type { Secrets } from "./secrets.js";

const NO_ADDRESSES: ReadonlyMap<string, readonly string[]> = new Map();

/** Clusters and their endpoints: each pair joined anew when one of them changes, and only that pair. */
export class Clusters {
  readonly settings = new ResourceParts<ClusterSettings>(CLUSTER_TYPE);
  readonly assignments = new ResourceParts<Assignment>(ENDPOINT_TYPE);
  /** What the names of clusters stand for, by cluster. */
  readonly resolved = new ResourceParts<ReadonlyMap<string, readonly string[]>>(RESOLVED_NAMES_TYPE);
  readonly #linker: ClusterLinker;
  readonly #secrets: Secrets;
  readonly #resolvesNames: boolean;
  /** Names of the clusters that ask for an assignment. */
  readonly #askers = new Map<string, Set<string>>();
  #linked: ReadonlyMap<string, LinkedCluster> = new Map();
  /** The next `linked`, while changes come in: copied once for all changes of one response. */
  #draft: Map<string, LinkedCluster> | undefined;

  constructor(load: SlotTable, secrets: Secrets, resolvesNames: boolean) {
    this.#resolvesNames = resolvesNames;
    this.#linker = new ClusterLinker(load);
    this.#secrets = secrets;
  }

  /** Every cluster by name; another map after every change, the same one without. */
  get linked(): ReadonlyMap<string, LinkedCluster> {
    this.#linked = this.#draft ?? this.#linked;
    this.#draft = undefined;
    return this.#linked;
  }

  /** Whether waiting for a cluster, its endpoints and its Secrets, or those of its members, has come to an end. */
  isAnswered(name: string): boolean {
    for (const each of this.withMembers([name])) {
      const settings = this.settings.get(each);
      if (settings === undefined) {
        if (!this.settings.isAnswered(each)) return false;
        continue;
      }
      if (!settings.transport.secrets.every((secret) => this.#secrets.parts.isAnswered(secret))) return false;
      if ("eds" in settings.endpoints && !this.assignments.isAnswered(settings.endpoints.eds)) return false;
      if ("dns" in settings.endpoints && !this.#isResolved(each, settings.endpoints.dns)) return false;
    }
    return true;
  }

  /** The clusters whose endpoints have names, with how these are looked up. */
  *named(): Iterable<readonly [string, DnsSettings]> {
    for (const name of this.settings.names()) {
      const endpoints = this.settings.get(name)?.endpoints;
      if (endpoints !== undefined && "dns" in endpoints) yield [name, endpoints.dns];
    }
  }

  /** These clusters and, as far as they are known, the members of those that are aggregates, and theirs. */
  withMembers(names: Iterable<string>): ReadonlySet<string> {
    const all = new Set(names);
    // What is added while a set is walked is walked, too.
    for (const name of all) {
      const endpoints = this.settings.get(name)?.endpoints;
      if (endpoints !== undefined && "members" in endpoints)
        for (const member of endpoints.members) all.add(member);
    }
    return all;
  }

  applyCluster(name: string, version: string, bytes: Uint8Array): void {
    let settings = this.settings.unchanged(name, bytes);
    if (settings === undefined) {
      const message = decode("cluster", ClusterSchema, bytes);
      if (message.name !== name)
        throw invalid("name", `is ${JSON.stringify(message.name)} in the resource ${JSON.stringify(name)}`);
      settings = compileCluster(message, this.#resolvesNames);
      const linked = this.#link(settings);
      this.#dropAsker(name);
      this.#replace([linked]);
      if ("eds" in settings.endpoints) this.#addAsker(settings.endpoints.eds, name);
    }
    this.settings.set(name, version, bytes, settings);
  }

  applyAssignment(name: string, version: string, bytes: Uint8Array): void {
    let assignment = this.assignments.unchanged(name, bytes);
    if (assignment === undefined) {
      const message = decode("cluster_load_assignment", ClusterLoadAssignmentSchema, bytes);
      if (message.clusterName !== name) {
        throw invalid(
          "cluster_name",
          `is ${JSON.stringify(message.clusterName)} in the resource ${JSON.stringify(name)}`,
        );
      }
      assignment = compileAssignment("", message);
      this.#relink(name, assignment, true);
    }
    this.assignments.set(name, version, bytes, assignment);
  }

  removeCluster(name: string): void {
    this.resolved.forget(name);
    this.#unlink(name);
    this.settings.remove(name);
  }

  /** Whether every name of a cluster has been looked up, with or without success. */
  #isResolved(cluster: string, { names }: DnsSettings): boolean {
    const addresses = this.resolved.get(cluster);
    return addresses !== undefined && names.every((name) => addresses.has(name));
  }

  /** What the names of a cluster stand for now. */
  applyResolved(name: string, version: string, bytes: Uint8Array): void {
    if (this.resolved.unchanged(name, bytes) !== undefined) return;
    const { names } = decode("resolved_names", ResolvedNamesSchema, bytes);
    const addresses = new Map(names.map((one) => [one.name, one.addresses]));
    const settings = this.settings.get(name);
    if (settings !== undefined && "dns" in settings.endpoints) {
      const assignment = withAddresses(settings.endpoints.assignment, addresses);
      this.#replace([this.#linker.link(settings, assignment, true, this.#find(name))]);
    }
    this.resolved.set(name, version, bytes, addresses);
  }

  /** What was known of the names of a cluster does not count any more: they are waited for again. */
  forgetResolved(name: string): void {
    this.resolved.forget(name);
    const settings = this.settings.get(name);
    if (settings !== undefined && "dns" in settings.endpoints) this.#replace([this.#link(settings)]);
  }

  removeAssignment(name: string): void {
    this.assignments.remove(name);
    this.#relink(name, NO_ENDPOINTS, true);
  }

  refuseCluster(name: string): void {
    this.settings.refuse(name);
  }

  /** A first assignment that was refused: requests need not wait for it any longer. */
  refuseAssignment(name: string): void {
    this.assignments.refuse(name);
    if (this.assignments.get(name) === undefined) this.#relink(name, NO_ENDPOINTS, true);
  }

  forgetCluster(name: string): void {
    this.resolved.forget(name);
    this.#unlink(name);
    this.settings.forget(name);
  }

  forgetAssignment(name: string): void {
    this.assignments.forget(name);
    this.#relink(name, NO_ENDPOINTS, false);
  }

  #link(settings: ClusterSettings): LinkedCluster {
    const previous = this.#find(settings.name);
    const { endpoints, name } = settings;
    if ("dns" in endpoints) {
      const assignment = withAddresses(endpoints.assignment, this.resolved.get(name) ?? NO_ADDRESSES);
      return this.#linker.link(settings, assignment, this.#isResolved(name, endpoints.dns), previous);
    }
    if (!("eds" in endpoints)) {
      const fixed = "fixed" in endpoints ? endpoints.fixed : NO_ENDPOINTS;
      return this.#linker.link(settings, fixed, true, previous);
    }
    const { eds } = endpoints;
    const assignment = this.assignments.get(eds) ?? NO_ENDPOINTS;
    return this.#linker.link(settings, assignment, this.assignments.isAnswered(eds), previous);
  }

  /** Joins every cluster that asks for this assignment with it: all of them or, when one fails, none. */
  #relink(assignmentName: string, assignment: Assignment, warm: boolean): void {
    const made: LinkedCluster[] = [];
    try {
      for (const name of this.#askers.get(assignmentName) ?? []) {
        const settings = this.settings.get(name);
        if (settings === undefined) continue;
        made.push(this.#linker.link(settings, assignment, warm, this.#find(name)));
      }
    } catch (thrown) {
      for (const cluster of made) this.#linker.unlink(cluster);
      throw thrown;
    }
    this.#replace(made);
  }

  #replace(clusters: readonly LinkedCluster[]): void {
    for (const cluster of clusters) {
      const previous = this.#find(cluster.name);
      this.#writable().set(cluster.name, cluster);
      if (previous !== undefined) this.#linker.unlink(previous);
    }
  }

  #unlink(name: string): void {
    this.#dropAsker(name);
    const previous = this.#find(name);
    if (previous === undefined) return;
    this.#writable().delete(name);
    this.#linker.unlink(previous);
  }

  #find(name: string): LinkedCluster | undefined {
    return (this.#draft ?? this.#linked).get(name);
  }

  #writable(): Map<string, LinkedCluster> {
    this.#draft ??= new Map(this.#linked);
    return this.#draft;
  }

  #addAsker(assignmentName: string, clusterName: string): void {
    const askers = this.#askers.get(assignmentName);
    if (askers === undefined) this.#askers.set(assignmentName, new Set([clusterName]));
    else askers.add(clusterName);
  }

  /** Call before the cluster's settings change. */
  #dropAsker(clusterName: string): void {
    const endpoints = this.settings.get(clusterName)?.endpoints;
    if (endpoints === undefined || !("eds" in endpoints)) return;
    const askers = this.#askers.get(endpoints.eds);
    askers?.delete(clusterName);
    if (askers?.size === 0) this.#askers.delete(endpoints.eds);
  }
}
