import { fromBinary } from "@bufbuild/protobuf";
import type { MeshObject } from "@tulle/api";
import { MeshError } from "@tulle/base";
import { createLoadTable, createSnapshotSource, type SlotTable, type SnapshotSource } from "@tulle/engine";
import { translate, type ClientView, type MeshReader } from "@tulle/translate";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";

import { overlay } from "../analysis/index.js";
import { standIn, trialRoots, type TrialRoot } from "./trial-roots.js";

/** Resources that one trial makes at most: what is beyond is left to the proxies. */
const MAX_RESOURCES = 500;
/** Clusters of one trial, and endpoints that are given with them. */
const MAX_SLOTS = 1_024;

/** Something that a proxy would refuse. */
export interface TrialRefusal {
  /** Where in the object, as far as that is known: `spec.http[0]`, or `spec`. */
  readonly path: string;
  /** Resource and the engine's own words. */
  readonly message: string;
}

/**
 * Makes everything that an object shapes and compiles it as a proxy would: what comes out is what proxies would refuse.
 * The reader must have the object.
 */
export function tryOut(reader: MeshReader, object: MeshObject): readonly TrialRefusal[] {
  const refusals = new Map<string, TrialRefusal>();
  const subject = standIn(reader, object);
  const seen = subject === object ? reader : overlay(reader, [subject]);
  const byView = new Map<ClientView, TrialRoot[]>();
  for (const root of trialRoots(seen, subject)) {
    const roots = byView.get(root.view);
    if (roots === undefined) byView.set(root.view, [root]);
    else roots.push(root);
  }
  for (const [view, roots] of byView) {
    for (const refusal of new Trial(seen, view, object).run(roots)) refusals.set(refusal.message, refusal);
  }
  return [...refusals.values()];
}

/** One client that gets what it asks for. */
class Trial {
  readonly #reader: MeshReader;
  readonly #view: ClientView;
  readonly #owner: string;
  readonly #source: SnapshotSource;
  readonly #asked = new Set<string>();
  readonly #refusals: TrialRefusal[] = [];

  constructor(reader: MeshReader, view: ClientView, { kind, metadata }: MeshObject) {
    this.#reader = reader;
    this.#view = view;
    this.#owner = `${kind}/${metadata.namespace}/${metadata.name}`;
    const load: SlotTable = createLoadTable({ maxSlots: MAX_SLOTS });
    this.#source = createSnapshotSource({ load });
  }

  run(roots: readonly TrialRoot[]): readonly TrialRefusal[] {
    for (const { typeUrl, name } of roots) this.#ask(typeUrl, name);
    const listeners = roots.filter(({ typeUrl }) => typeUrl === LISTENER_TYPE).map(({ name }) => name);
    for (const typeUrl of [ROUTE_TYPE, CLUSTER_TYPE, ENDPOINT_TYPE]) {
      // Each type names the next.
      for (const name of this.#source.wanted(listeners).get(typeUrl) ?? []) this.#ask(typeUrl, name);
    }
    return this.#refusals;
  }

  #ask(typeUrl: string, name: string): void {
    const key = `${typeUrl} ${name}`;
    if (this.#asked.size >= MAX_RESOURCES || this.#asked.has(key)) return;
    this.#asked.add(key);
    try {
      const made = translate(this.#reader, this.#view, typeUrl, name);
      if (made.resource === undefined) return;
      const { version, bytes } = made.resource;
      for (const { message } of this.#source.apply([{ typeUrl, name, version, bytes }])) {
        if (!made.owners.includes(this.#owner)) continue;
        const path = typeUrl === ROUTE_TYPE ? (ruleOf(bytes, message, this.#owner) ?? "spec") : "spec";
        this.#refusals.push({ path, message: `proxies would refuse ${name}: ${message}` });
      }
    } catch (thrown) {
      const { message } = MeshError.from(thrown);
      this.#refusals.push({ path: "spec", message: `cannot be translated (${name}): ${message}` });
    }
  }
}

/** The rule that a refused route came from: routes carry it as metadata. */
function ruleOf(bytes: Uint8Array, message: string, owner: string): string | undefined {
  const index = /^virtual_hosts\[(\d+)\]\.routes\[(\d+)\]/.exec(message);
  if (index === null) return undefined;
  const { virtualHosts } = fromBinary(RouteConfigurationSchema, bytes);
  const metadata = virtualHosts[Number(index[1])]?.routes[Number(index[2])]?.metadata?.filterMetadata;
  const rule = metadata?.["tulle.dev"]?.["rule"];
  const config = metadata?.["istio"]?.["config"];
  if (typeof rule !== "string" || typeof config !== "string") return undefined;
  // A delegate's rule is not the root's.
  const [, namespace, name] = owner.split("/");
  const isOwn = ["virtual-service", "service-router", "service-splitter"].some((kind) =>
    config.endsWith(`/namespaces/${namespace}/${kind}/${name}`),
  );
  return isOwn ? `spec.${rule}` : undefined;
}
