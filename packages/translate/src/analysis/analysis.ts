import { finding, objectKey, suppresses, type Finding, type FindingCode, type MeshObject } from "@tulle/api";
import type { ClientView, MeshReader } from "../contract.js";
import { resolveHost, type ResolvedHost } from "../services.js";
import { serviceNamed } from "../hosts.js";
import { Translation, type KindRef } from "../translation.js";
import { assumedCatalog } from "./assumed-catalog.js";

/** Findings of one run; more are not worth reading. */
const MAX_FINDINGS = 10_000;

/** What analyzers look at, and where they put what they find. */
export class Analysis {
  readonly findings: Finding[] = [];
  /** What translation would read. Without a registry, services that objects name are taken to exist. */
  readonly reader: MeshReader;
  /** Whether what is registered is known. Without it nothing is said of services and their instances. */
  readonly live: boolean;
  readonly #seen = new Set<string>();
  readonly #indexes = new Map<KindRef, Map<string, MeshObject[]>>();

  constructor(reader: MeshReader, live: boolean) {
    this.reader = live ? reader : { ...reader, catalog: assumedCatalog(reader) };
    this.live = live;
  }

  get domain(): string {
    return this.reader.settings.domainSuffix;
  }

  objects<Spec>({ group, kind }: KindRef): readonly MeshObject<Spec>[] {
    return this.reader.objects(group, kind) as readonly MeshObject<Spec>[];
  }

  /** The objects of a kind that have a key among those that `keysOf` gives, found once for all. */
  sharing<Spec>(
    ref: KindRef,
    key: string,
    keysOf: (object: MeshObject<Spec>) => readonly string[],
  ): readonly MeshObject<Spec>[] {
    let index = this.#indexes.get(ref);
    if (index === undefined) {
      index = new Map();
      for (const object of this.objects<Spec>(ref)) {
        for (const one of keysOf(object)) {
          const group = index.get(one);
          if (group === undefined) index.set(one, [object]);
          else group.push(object);
        }
      }
      this.#indexes.set(ref, index);
    }
    return (index.get(key) ?? []) as readonly MeshObject<Spec>[];
  }

  /** Notes a finding, unless its object does not want to hear of it. */
  report(code: FindingCode, object: MeshObject, path: string, message: string): void {
    if (this.findings.length >= MAX_FINDINGS || suppresses(object, code)) return;
    const made = finding(code, objectKey(object), path, message);
    const id = JSON.stringify([made.object, code, path, message]);
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.findings.push(made);
  }

  /** A client in a namespace, without labels. */
  view(namespace: string): ClientView {
    return { dialect: "tulle", namespace, mtls: true, labels: {}, inbound: [] };
  }

  /** What a host means that an object of `namespace` names. */
  resolve(host: string, namespace: string): ResolvedHost {
    const written = host.toLowerCase().replace(/\.$/, "");
    return resolveHost(new Translation(this.reader, this.view(namespace)), written, namespace);
  }

  /** Whether nothing can be meant by a host. Of names that a registry may have, only a live analysis knows. */
  isUnknown(host: string, namespace: string): boolean {
    if (this.resolve(host, namespace).service !== undefined) return false;
    return this.live || !this.mayBeRegistered(host, namespace);
  }

  /** Whether a host has the form of a registered service's. */
  mayBeRegistered(host: string, namespace: string): boolean {
    const id = serviceNamed(host.toLowerCase(), namespace, this.domain);
    return id !== undefined && !id.name.includes(".");
  }
}
