import type { MeshObject } from "../kind.js";
import { isFields, type Fields } from "../schema/struct.js";
import { CONSUL_GROUP } from "./type.js";

/** Consul's names of its kinds, by those of their custom resources. */
export const CONFIG_ENTRY_KINDS = {
  ServiceRouter: "service-router",
  ServiceSplitter: "service-splitter",
  ServiceResolver: "service-resolver",
  ServiceDefaults: "service-defaults",
  ProxyDefaults: "proxy-defaults",
} as const;

/** The kind of objects in which entries of one of Consul's kinds are stored; undefined for kinds that are not. */
export function kindOfConfigEntry(kind: string): keyof typeof CONFIG_ENTRY_KINDS | undefined {
  for (const [own, name] of Object.entries(CONFIG_ENTRY_KINDS)) {
    if (name === kind) return own as keyof typeof CONFIG_ENTRY_KINDS;
  }
  return undefined;
}

/** Names that are not made by putting an upper-case letter first. */
const UNUSUAL: Readonly<Record<string, string>> = { http: "HTTP", ttl: "TTL" };
const USUAL_OF = new Map(
  ["http", "ttl", "sourceIP", "externalSNI", "mutualTLSMode"].map((name) => [name.toLowerCase(), name]),
);

/** Fields whose values are maps: the user's own words are their keys. */
const MAPS = new Set(["subsets", "failover", "add", "set", "meta", "config"]);
/** … and whose values are the user's own, too. */
const OPAQUE = new Set(["add", "set", "meta", "config"]);
/** Go durations, which Consul's clients may send as nanoseconds. */
const DURATIONS = new Set([
  "connectTimeout",
  "requestTimeout",
  "idleTimeout",
  "ttl",
  "interval",
  "baseEjectionTime",
]);

/** The entry's own fields beside its content. */
const ENVELOPE = new Set(["kind", "name", "namespace", "partition", "createIndex", "modifyIndex", "hash"]);

/** A configuration entry as Consul's API takes it, in parts. */
export interface WrittenEntry {
  /** Consul's: `service-router`. */
  readonly kind: unknown;
  readonly name: unknown;
  readonly namespace: unknown;
  /** Content with the field names of the custom resources. */
  readonly spec: Fields;
}

/**
 * Reads an entry in CamelCase or snake_case. Empty fields, which Consul's clients send along, say nothing and are left
 * out. What it means is not checked.
 */
export function readConfigEntry(body: Fields): WrittenEntry {
  const fields = ownFields(body);
  const spec = Object.fromEntries(Object.entries(fields).filter(([name]) => !ENVELOPE.has(name)));
  const { kind, name, namespace } = fields;
  return { kind, name, namespace, spec };
}

/** An object as Consul's API shows it. Durations are as they were written. */
export function writeConfigEntry({ kind, metadata, spec }: MeshObject): Fields {
  return {
    Kind: CONFIG_ENTRY_KINDS[kind as keyof typeof CONFIG_ENTRY_KINDS],
    Name: metadata.name,
    ...(metadata.namespace === "default" ? {} : { Namespace: metadata.namespace }),
    ...(isFields(spec) ? wireFields(spec) : {}),
    ModifyIndex: Number(metadata.resourceVersion),
  };
}

/** Content of an entry, or a part of it, with the field names of Consul's API. */
export function configEntryContent(content: Fields): Fields {
  return wireFields(content);
}

/**
 * Where something of a custom resource stands in an entry: `spec.routes[0].idleTimeout` is `Routes[0].IdleTimeout`, or
 * `routes[0].idle_timeout`.
 */
export function configEntryPath(path: string, form: "CamelCase" | "snake_case" = "CamelCase"): string {
  const own = /^(?:spec|metadata)$/.test(path) ? "" : path.replace(/^(?:spec|metadata)\./, "");
  const nameIn = form === "CamelCase" ? wireName : snakeName;
  return own.replace(/(^|\.)([A-Za-z]\w*)/g, (_all, dot: string, name: string) => dot + nameIn(name));
}

/**
 * A document of Consul's own form (`Kind: service-router`, and no apiVersion) as an object of the kind that it is stored in;
 * undefined when it is none.
 */
export function configEntryObject(document: Fields): Fields | undefined {
  if (document["apiVersion"] !== undefined || document["metadata"] !== undefined) return undefined;
  const { kind, name, namespace, spec } = readConfigEntry(document);
  const own = typeof kind === "string" ? kindOfConfigEntry(kind) : undefined;
  if (own === undefined) return undefined;
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  return { apiVersion: `${CONSUL_GROUP}/v1alpha1`, kind: own, metadata, spec };
}

function ownFields(fields: Fields): Record<string, unknown> {
  const result: Record<string, unknown> = Object.create(null);
  for (const [written, value] of Object.entries(fields)) {
    const name = ownName(written);
    const own = ownValue(name, value);
    if (own !== undefined) result[name] = own;
  }
  return result;
}

function ownValue(name: string, value: unknown): unknown {
  if (value === null || value === "") return undefined;
  if (DURATIONS.has(name) && typeof value === "number") return `${value / 1e6}ms`;
  if (Array.isArray(value)) {
    return value.length === 0
      ? undefined
      : value.map((item: unknown) => (isFields(item) ? ownFields(item) : item));
  }
  if (!isFields(value) || OPAQUE.has(name)) return value;
  if (!MAPS.has(name)) return ownFields(value);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, isFields(item) ? ownFields(item) : item]),
  );
}

/** `ServiceSubset` and `service_subset` are `serviceSubset`. */
function ownName(written: string): string {
  const joined = written.replace(/_([A-Za-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
  return USUAL_OF.get(joined.toLowerCase()) ?? joined.slice(0, 1).toLowerCase() + joined.slice(1);
}

function wireFields(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [wireName(name), wireValue(name, value)]),
  );
}

function wireValue(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => (isFields(item) ? wireFields(item) : item));
  if (!isFields(value) || OPAQUE.has(name)) return value;
  if (!MAPS.has(name)) return wireFields(value);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, isFields(item) ? wireFields(item) : item]),
  );
}

function wireName(name: string): string {
  return UNUSUAL[name] ?? name.slice(0, 1).toUpperCase() + name.slice(1);
}

function snakeName(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => `_${letters.toLowerCase()}`);
}
