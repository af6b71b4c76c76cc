import {
  alreadyExistsStatus,
  conflictStatus,
  InvalidObjectError,
  notFoundStatus,
  toWire,
  type Kind,
  type MeshObject,
  type ObjectKey,
  type ObjectMeta,
  type StatusSubject,
} from "@tulle/api";
import { MeshError, type Clock } from "@tulle/base";

import type { ResourceStore } from "../stores/resource-store.js";
import { Judge, type JudgeOptions, type Writer } from "../admission/index.js";
import { WriteTurns } from "./write-turns.js";
import { checkObject } from "./check-object.js";
import { canonical, type Json, type JsonObject } from "./patch.js";

/** Namespaces that always are there. */
export const BUILTIN_NAMESPACES: readonly string[] = ["default", "istio-system"];

/** Reads and writes of one object lose to concurrent writers this often before the caller is told. */
const MAX_CONFLICTS = 8;

export interface ResourcesOptions extends JudgeOptions {
  readonly store: ResourceStore;
  readonly kinds: readonly Kind[];
  readonly clock: Clock;
  /** RFC 9562 UUIDs. */
  readonly newUid: () => string;
}

/** Where a write goes and how. */
export interface WriteTarget {
  readonly kind: Kind;
  /** The API version in the path: what the body must say and the answer is given in. */
  readonly version: string;
  readonly namespace: string;
  /** `?dryRun=All`: everything is checked, nothing is stored. */
  readonly dryRun: boolean;
  /** Absent: the control plane itself, which nobody's rules are for. */
  readonly writer?: Writer;
}

export interface Written {
  readonly object: MeshObject;
  readonly created: boolean;
  readonly warnings: readonly string[];
}

/**
 * The verbs of the resource API over a store: validation, metadata, generations, namespaces. Knows neither HTTP nor
 * any single kind but Namespace.
 */
export class Resources {
  readonly #options: ResourcesOptions;
  readonly #judge: Judge;
  readonly #turns = new WriteTurns();

  constructor(options: ResourcesOptions) {
    this.#options = options;
    this.#judge = new Judge(options);
  }

  /** Makes sure that the built-in namespaces exist. */
  async start(): Promise<void> {
    const kind = this.#options.kinds.find((each) => each.group === "" && each.kind === "Namespace");
    if (kind === undefined) return;
    for (const name of BUILTIN_NAMESPACES) {
      if ((await this.#options.store.get(namespaceKey(name))) !== undefined) continue;
      const raw = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
      await this.create({ kind, version: "v1", namespace: "", dryRun: false }, raw);
    }
  }

  async get(key: ObjectKey): Promise<MeshObject> {
    const object = await this.#options.store.get(key);
    if (object === undefined) throw this.#notFound(key);
    return object;
  }

  /** Creates from what a user sent; `generateName` gets a random suffix. */
  async create(target: WriteTarget, raw: JsonObject): Promise<Written> {
    const named = withGeneratedName(raw, this.#options.newUid);
    const { object: checked, warnings: own } = checkObject(target, named);
    const key = keyOf(target.kind, checked.metadata);
    await this.#requireNamespace(key);
    const object: MeshObject = {
      ...checked,
      metadata: {
        ...checked.metadata,
        uid: this.#options.newUid(),
        resourceVersion: "",
        generation: 1,
        creationTimestamp: timestamp(this.#options.clock),
      },
    };
    return this.#inTurn(async () => {
      // A name that is taken is told first: what else is wrong may be about the object that has it.
      if ((await this.#options.store.get(key)) !== undefined) throw this.#exists(key);
      const warnings = [...own, ...(await this.#judge.write(target, object, undefined))];
      const created = target.dryRun ? object : await this.#create(object, key);
      return { object: created, created: true, warnings };
    });
  }

  /**
   * Changes an object: `change` gets it in wire form (undefined when there is none) and returns what it shall be.
   * Without a `resourceVersion` in the result, a lost race is tried again on the newer object.
   */
  async modify(
    target: WriteTarget,
    name: string,
    change: (current: JsonObject | undefined) => Json,
  ): Promise<Written> {
    const key: ObjectKey = {
      group: target.kind.group,
      kind: target.kind.kind,
      namespace: target.namespace,
      name,
    };
    for (let attempt = 0; ; attempt++) {
      const current = await this.#options.store.get(key);
      const wire =
        current === undefined
          ? undefined
          : (toWire(target.kind, current, target.version) as unknown as JsonObject);
      const changed = requireObject(change(wire));
      if (current === undefined) return this.create(target, withName(changed, name));
      try {
        return await this.#replace(target, key, current, changed);
      } catch (thrown) {
        const lostRace = thrown instanceof MeshError && thrown.code === "STORE_CONFLICT";
        if (
          !lostRace ||
          statedRevision(changed) !== current.metadata.resourceVersion ||
          attempt >= MAX_CONFLICTS
        ) {
          throw thrown;
        }
      }
    }
  }

  async #replace(
    target: WriteTarget,
    key: ObjectKey,
    current: MeshObject,
    changed: JsonObject,
  ): Promise<Written> {
    const stated = statedRevision(changed);
    if (stated !== "" && stated !== current.metadata.resourceVersion) throw this.#conflict(key);
    const { object: checked, warnings: own } = checkObject(target, changed);
    if (checked.metadata.name !== key.name) {
      const message = `must stay ${key.name}: an object cannot be renamed`;
      throw new InvalidObjectError(message, [{ path: "metadata.name", message }]);
    }
    const sameContent = equal(contentOf(checked), contentOf(current));
    const next: MeshObject = {
      ...checked,
      metadata: {
        ...checked.metadata,
        uid: current.metadata.uid,
        creationTimestamp: current.metadata.creationTimestamp,
        resourceVersion: current.metadata.resourceVersion,
        generation: sameContent ? current.metadata.generation : current.metadata.generation + 1,
      },
    };
    if (sameContent && equal(next.metadata, current.metadata))
      return { object: current, created: false, warnings: own };
    return this.#inTurn(async () => {
      const warnings = [...own, ...(await this.#judge.write(target, next, current))];
      if (target.dryRun) return { object: next, created: false, warnings };
      const revision = Number(current.metadata.resourceVersion);
      return { object: await this.#options.store.update(next, key, revision), created: false, warnings };
    });
  }

  /** Deletes an object; a namespace goes with all that is in it. `denied` for the built-in namespaces. */
  async delete(target: WriteTarget, name: string, expected?: string): Promise<Written> {
    const key = keyOf(target.kind, { name, namespace: target.namespace });
    const object = await this.get(key);
    if (expected !== undefined && expected !== object.metadata.resourceVersion) throw this.#conflict(key);
    const isNamespace = key.group === "" && key.kind === "Namespace";
    if (isNamespace && BUILTIN_NAMESPACES.includes(key.name)) {
      throw new MeshError("denied", "API_FORBIDDEN", `the namespace ${key.name} cannot be deleted`);
    }
    const warnings = [...(await this.#judge.review(target, undefined, object))];
    const content = isNamespace ? await this.#contentOf(key.name) : [];
    for (const [kind, one] of content) {
      const each = { ...target, kind, version: kind.storageVersion, namespace: key.name };
      warnings.push(...(await this.#judge.review(each, undefined, one)));
    }
    if (target.dryRun) return { object, created: false, warnings };
    for (const [kind, { metadata }] of content) await this.#deleteIfThere(keyOf(kind, metadata));
    const deleted = await this.#options.store.delete(
      key,
      expected === undefined ? undefined : Number(expected),
    );
    return { object: deleted, created: false, warnings };
  }

  /** Nothing is stored between the look at an object and its own storing. */
  async #inTurn<T>(write: () => Promise<T>): Promise<T> {
    return this.#options.admit === undefined ? write() : this.#turns.take(write);
  }

  async #create(object: MeshObject, key: ObjectKey): Promise<MeshObject> {
    try {
      return await this.#options.store.create(object, key);
    } catch (thrown) {
      throw thrown instanceof MeshError && thrown.code === "STORE_EXISTS" ? this.#exists(key) : thrown;
    }
  }

  #notFound(key: ObjectKey): MeshError {
    return new MeshError("not-found", "API_NOT_FOUND", notFoundStatus(this.#subject(key)).message ?? "");
  }

  #exists(key: ObjectKey): MeshError {
    return new MeshError(
      "already-exists",
      "STORE_EXISTS",
      alreadyExistsStatus(this.#subject(key)).message ?? "",
    );
  }

  #conflict(key: ObjectKey): MeshError {
    return new MeshError("conflict", "STORE_CONFLICT", conflictStatus(this.#subject(key)).message ?? "");
  }

  #subject(key: ObjectKey): StatusSubject {
    const kind = this.#options.kinds.find((each) => each.group === key.group && each.kind === key.kind);
    return { group: key.group, kind: key.kind, name: key.name, plural: kind?.plural ?? key.kind };
  }

  /** Objects of a namespace, with their kinds. */
  async #contentOf(namespace: string): Promise<readonly (readonly [Kind, MeshObject])[]> {
    const { objects } = await this.#options.store.list({ namespace });
    return objects.flatMap((object) => {
      const kind = this.#options.kinds.find(
        (each) => each.kind === object.kind && isOfGroup(object, each.group),
      );
      return kind === undefined ? [] : [[kind, object] as const];
    });
  }

  async #deleteIfThere(key: ObjectKey): Promise<void> {
    try {
      await this.#options.store.delete(key);
    } catch (thrown) {
      if (MeshError.from(thrown).kind !== "not-found") throw thrown;
    }
  }

  async #requireNamespace(key: ObjectKey): Promise<void> {
    if (key.namespace === "" || (await this.#options.store.get(namespaceKey(key.namespace))) !== undefined)
      return;
    throw new MeshError(
      "not-found",
      "API_NO_NAMESPACE",
      `namespaces "${key.namespace}" not found: create it first (kubectl create namespace ${key.namespace})`,
    );
  }
}

export function keyOf(kind: Kind, metadata: Pick<ObjectMeta, "name" | "namespace">): ObjectKey {
  return { group: kind.group, kind: kind.kind, namespace: metadata.namespace, name: metadata.name };
}

function namespaceKey(name: string): ObjectKey {
  return { group: "", kind: "Namespace", namespace: "", name };
}

function isOfGroup(object: MeshObject, group: string): boolean {
  const slash = object.apiVersion.indexOf("/");
  return (slash === -1 ? "" : object.apiVersion.slice(0, slash)) === group;
}

function timestamp(clock: Clock): string {
  return `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
}

function metadataOf(raw: JsonObject): JsonObject {
  const metadata = raw["metadata"];
  return typeof metadata === "object" && metadata !== null && !Array.isArray(metadata)
    ? (metadata as JsonObject)
    : {};
}

function statedRevision(raw: JsonObject): string {
  const stated = metadataOf(raw)["resourceVersion"];
  return typeof stated === "string" ? stated : "";
}

function withName(raw: JsonObject, name: string): JsonObject {
  return { ...raw, metadata: { ...metadataOf(raw), name: metadataOf(raw)["name"] ?? name } };
}

function withGeneratedName(raw: JsonObject, newUid: () => string): JsonObject {
  const metadata = metadataOf(raw);
  const prefix = metadata["generateName"];
  if (metadata["name"] !== undefined || typeof prefix !== "string") return raw;
  return { ...raw, metadata: { ...metadata, name: `${prefix}${newUid().slice(0, 5)}` } };
}

function contentOf(object: MeshObject): unknown {
  return { spec: object.spec, extra: object.extra ?? {} };
}

/** By value, whatever the order of members; undefined members do not count. */
function equal(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify(canonical(JSON.parse(JSON.stringify(value)) as Json));
  return text(a) === text(b);
}

function requireObject(value: Json): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new MeshError("invalid", "API_BODY", "the object must be a JSON object");
}
