import {
  CONFIG_ENTRY_KINDS,
  CONSUL_GROUP,
  configEntryPath,
  findKind,
  InvalidObjectError,
  kindOfConfigEntry,
  readConfigEntry,
  type Kind,
  type MeshObject,
  type ObjectKey,
} from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { MeshReader } from "@tulle/translate";

import { newlyBroken } from "../admission/index.js";
import { overlay, without } from "../analysis/index.js";
import type { JsonObject } from "../api-server/patch.js";
import type { Resources, WriteTarget } from "../api-server/resources.js";
import type { ResourceStore } from "../stores/resource-store.js";

/** An entry that nobody wrote has no revision. */
const ABSENT = "0";
/** The one name of entries of `proxy-defaults`. */
const GLOBAL = "global";

export interface ConfigEntriesOptions {
  readonly resources: Resources;
  readonly store: Pick<ResourceStore, "get" | "list">;
  /** What is stored now, to see what a write would break. */
  readonly reader: MeshReader;
}

/** Where an entry is. */
export interface EntryPlace {
  readonly kind: Kind;
  readonly namespace: string;
}

/** An entry that a client wants to be stored. */
export interface WantedEntry extends EntryPlace {
  readonly name: string;
  readonly spec: JsonObject;
}

/** Consul's verbs for configuration entries, over the resources in which they are stored. */
export class ConfigEntries {
  readonly #options: ConfigEntriesOptions;

  constructor(options: ConfigEntriesOptions) {
    this.#options = options;
  }

  /** Undefined where there is none. */
  get(place: EntryPlace, name: string): Promise<MeshObject | undefined> {
    return this.#options.store.get(keyOf(place, name));
  }

  /** By namespace, then name. `*`: those of all namespaces. */
  async list({ kind, namespace }: EntryPlace): Promise<readonly MeshObject[]> {
    const all = { group: CONSUL_GROUP, kind: kind.kind };
    const { objects } = await this.#options.store.list(namespace === "*" ? all : { ...all, namespace });
    return objects;
  }

  /**
   * Stores an entry. `revision`: the one that it must have now, "0" that there must be none; false where it has another.
   * Refuses what would break a discovery chain, as Consul does.
   */
  async put(wanted: WantedEntry, writer: WriteTarget["writer"], revision?: string): Promise<boolean> {
    const target = targetOf(wanted, writer);
    const change = (current: JsonObject | undefined): JsonObject => {
      const metadata = (current?.["metadata"] ?? {}) as JsonObject;
      const now = current === undefined ? ABSENT : metadata["resourceVersion"];
      if (revision !== undefined && now !== revision) throw lost();
      const { resourceVersion: _resourceVersion, ...kept } = metadata;
      return {
        ...current,
        metadata: {
          ...kept,
          name: wanted.name,
          ...(revision !== undefined && revision !== ABSENT && { resourceVersion: revision }),
        },
        spec: wanted.spec,
      };
    };
    return this.#unlessLost(async () => {
      const { object } = await this.#options.resources.modify(
        { ...target, dryRun: true },
        wanted.name,
        change,
      );
      const reader = await this.#stored();
      refuseBroken(newlyBroken(reader, overlay(reader, [object]), object));
      await this.#options.resources.modify(target, wanted.name, change);
    });
  }

  /** Takes an entry away; what is not there is gone already. As {@link put}. */
  async delete(
    place: EntryPlace,
    name: string,
    writer: WriteTarget["writer"],
    revision?: string,
  ): Promise<boolean> {
    const object = await this.get(place, name);
    if (object === undefined) return revision === undefined;
    return this.#unlessLost(async () => {
      if (revision !== undefined && object.metadata.resourceVersion !== revision) throw lost();
      const reader = await this.#stored();
      refuseBroken(newlyBroken(reader, without(reader, object), object));
      await this.#options.resources.delete(targetOf(place, writer), name, revision);
    });
  }

  /** The mesh with the entries that are stored this moment: an index may be a little behind. */
  async #stored(): Promise<MeshReader> {
    const { objects } = await this.#options.store.list({ group: CONSUL_GROUP });
    const { reader } = this.#options;
    return {
      ...reader,
      objects: (group, kind) =>
        group === CONSUL_GROUP
          ? objects.filter((object) => object.kind === kind)
          : reader.objects(group, kind),
    };
  }

  async #unlessLost(write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (thrown) {
      const { kind } = MeshError.from(thrown);
      if (kind === "conflict" || kind === "already-exists") return false;
      if (thrown instanceof InvalidObjectError) throw inConsulsWords(thrown);
      throw thrown;
    }
  }
}

/** The kind that entries of one of Consul's are stored in. Throws `invalid` CONSUL_CONFIG_KIND. */
export function storedKind(kind: string): Kind {
  const own = kindOfConfigEntry(kind);
  const found = own && findKind(CONSUL_GROUP, own);
  if (found !== undefined) return found;
  const known = Object.values(CONFIG_ENTRY_KINDS).join(", ");
  const instead = kind === "service-intentions" ? "; write an AuthorizationPolicy for intentions" : "";
  throw invalid(
    "CONSUL_CONFIG_KIND",
    `config entry kind ${JSON.stringify(kind)} is not carried out: known are ${known}${instead}`,
  );
}

/** Reads the body of a write; `namespace` is where it goes unless the body says. */
export function wantedEntry(
  body: JsonObject,
  namespace: (stated: string | undefined) => string,
): WantedEntry {
  const { kind, name, namespace: stated, spec } = readConfigEntry(body);
  if (typeof kind !== "string")
    throw invalid("CONSUL_CONFIG_BODY", "Payload does not contain a kind/Kind key at the top level");
  const stored = storedKind(kind);
  if (typeof name !== "string") throw invalid("CONSUL_CONFIG_BODY", "the entry has no Name");
  if (stored.kind === "ProxyDefaults" && name !== GLOBAL)
    throw invalid(
      "CONSUL_CONFIG_BODY",
      `invalid name (${JSON.stringify(name)}), only ${JSON.stringify(GLOBAL)} is supported`,
    );
  if (stated !== undefined && typeof stated !== "string")
    throw invalid("CONSUL_CONFIG_BODY", "Namespace must be a string");
  return { kind: stored, namespace: namespace(stated), name, spec: spec as JsonObject };
}

function keyOf({ kind, namespace }: EntryPlace, name: string): ObjectKey {
  return { group: kind.group, kind: kind.kind, namespace, name };
}

function targetOf({ kind, namespace }: EntryPlace, writer: WriteTarget["writer"]): WriteTarget {
  return {
    kind,
    version: kind.storageVersion,
    namespace,
    dryRun: false,
    ...(writer !== undefined && { writer }),
  };
}

function refuseBroken(broken: ReturnType<typeof newlyBroken>): void {
  if (broken.length > 0) throw new InvalidObjectError("it would break a discovery chain", broken);
}

function lost(): MeshError {
  return new MeshError("conflict", "CONSUL_CONFIG_LOST", "the entry has another ModifyIndex");
}

/** Every violation on a line, where it stands in the entry. */
function inConsulsWords({ message, violations }: InvalidObjectError): MeshError {
  const lines = violations.map(({ path, message: why }) => {
    const place = configEntryPath(path);
    return place === "" ? why : `${place}: ${why}`;
  });
  return invalid("CONSUL_CONFIG_INVALID", [`Bad request: ${message}`, ...lines].join("\n"));
}

function invalid(code: string, message: string): MeshError {
  return new MeshError("invalid", code, message);
}
