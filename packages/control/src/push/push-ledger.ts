import type { ObjectKey, ProxyStatus } from "@tulle/api";
import type { ResourceState } from "@tulle/xds";

import type { StreamRecord } from "./ads-stream.js";
import type { ResourceCache } from "./resource-cache.js";
import { TypeChannel, type ExpectedResource } from "./type-channel.js";

/** A condition as Kubernetes' and Istio's `status.conditions` have it. */
export interface ObjectCondition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  /** CamelCase, for machines. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

/** The computed status of an object: never stored, always as of now. */
export interface ObjectStatus {
  readonly conditions: readonly ObjectCondition[];
  /** Resources that the object shapes, with the version that is current and who has it: at most 100. */
  readonly resources?: readonly ResourceStatus[];
  /** Proxies that refused something of it, in their own words: at most 100. */
  readonly refusals?: readonly ProxyRefusal[];
}

/** One resource that an object shapes. */
export interface ResourceStatus {
  readonly type: string;
  readonly name: string;
  /** Hash of its content. */
  readonly version: string;
  /** Proxies that run this version, and all that subscribe to it. */
  readonly synced: number;
  readonly subscribed: number;
}

export interface ProxyRefusal {
  readonly proxy: string;
  readonly resource: string;
  readonly message: string;
}

/** Refusals and warnings that one status message quotes. */
const MAX_QUOTED = 5;
/** Resources and refusals that one status lists. */
const MAX_LISTED = 100;

/** Knows which proxy has what: asked by `tulle status` and for objects' status; costs nothing until asked. */
export class PushLedger {
  readonly #streams: ReadonlySet<StreamRecord>;
  readonly #cache: ResourceCache;

  constructor(streams: ReadonlySet<StreamRecord>, cache: ResourceCache) {
    this.#streams = streams;
    this.#cache = cache;
  }

  /** Every open stream's proxy, by id. */
  proxies(): readonly ProxyStatus[] {
    return [...this.#streams]
      .map(({ client, connectedAt, channels }) => ({
        id: client.id,
        dialect: client.dialect,
        ...(client.version !== "" && { version: client.version }),
        identity: client.identity,
        connectedAt,
        admin: client.admin,
        types: [...channels].map((channel) => channel.status()),
      }))
      .sort((a, b) => (a.id === b.id ? a.connectedAt - b.connectedAt : a.id < b.id ? -1 : 1));
  }

  /** Checksums of what a proxy has acknowledged, by type URL; types that are not settled are left out. */
  checksums(proxy: string): ReadonlyMap<string, string> {
    const checksums = new Map<string, string>();
    for (const channel of this.#channelsOf(proxy)) {
      const { checksum } = channel;
      if (checksum !== undefined) checksums.set(channel.typeUrl, checksum);
    }
    return checksums;
  }

  /** Names and versions that a proxy has acknowledged of a type; undefined when that is not settled. */
  acknowledged(proxy: string, typeUrl: string): ReadonlyMap<string, string> | undefined {
    return this.#channelsOf(proxy)
      .find((channel) => channel.typeUrl === typeUrl)
      ?.acknowledged();
  }

  /** What each proxy asks for of a type by names that `isAsked` knows, translated anew; proxies without any are left out. */
  expected(
    typeUrl: string,
    isAsked: (name: string) => boolean,
    isProxy: (id: string) => boolean = () => true,
  ): ReadonlyMap<string, readonly ExpectedResource[]> {
    const expected = new Map<string, readonly ExpectedResource[]>();
    for (const id of new Set([...this.#streams].map(({ client }) => client.id))) {
      if (!isProxy(id)) continue;
      const channel = this.#channelsOf(id).find((each) => each.typeUrl === typeUrl);
      const resources = channel?.expected(isAsked) ?? [];
      if (resources.length > 0) expected.set(id, resources);
    }
    return expected;
  }

  /** Of two streams of one proxy the newer counts: it has connected again. */
  #channelsOf(proxy: string): readonly TypeChannel[] {
    let newest: StreamRecord | undefined;
    for (const stream of this.#streams) {
      if (stream.client.id === proxy && stream.connectedAt >= (newest?.connectedAt ?? 0)) newest = stream;
    }
    return [...(newest?.channels ?? [])];
  }

  /**
   * How far an object has come: condition `Reconciled` (how many of the proxies that it concerns run it, and which
   * refused it, in their words), and `Warning` when translation had something to say.
   */
  statusOf(key: ObjectKey): ObjectStatus {
    const proxies = new Map<object, ResourceState>();
    const refusals: ProxyRefusal[] = [];
    const warnings = new Set<string>();
    const resources = new Map<string, ResourceStatus>();
    for (const resource of this.#cache.ownedBy(`${key.kind}/${key.namespace}/${key.name}`)) {
      for (const warning of this.#cache.warningsOf(resource)) warnings.add(warning);
      const version = this.#cache.versionOf(resource) ?? "";
      let synced = 0;
      let subscribed = 0;
      for (const subscriber of resource.subscribers) {
        if (!(subscriber instanceof TypeChannel)) continue;
        const state = subscriber.stateOf(resource.name);
        proxies.set(subscriber.client, worse(proxies.get(subscriber.client), state));
        subscribed++;
        if (state === "synced") synced++;
        if (state === "nack") {
          const message = subscriber.refusalOf(resource.name) ?? "";
          refusals.push({ proxy: subscriber.client.id, resource: resource.name, message });
        }
      }
      const before = resources.get(`${resource.name} ${version}`);
      resources.set(`${resource.name} ${version}`, {
        type: shortType(resource.typeUrl),
        name: resource.name,
        version,
        synced: synced + (before?.synced ?? 0),
        subscribed: subscribed + (before?.subscribed ?? 0),
      });
    }
    const told = refusals.map(({ proxy, message }) => `${proxy}: ${message}`);
    const conditions = [reconciled([...proxies.values()], [...new Set(told)])];
    if (warnings.size > 0) {
      conditions.push({
        type: "Warning",
        status: "True",
        reason: "TranslatedWithWarnings",
        message: quoteSome([...warnings]),
      });
    }
    return {
      conditions,
      ...(resources.size === 0
        ? {}
        : { resources: [...resources.values()].sort(byName).slice(0, MAX_LISTED) }),
      ...(refusals.length === 0 ? {} : { refusals: refusals.slice(0, MAX_LISTED) }),
    };
  }
}

/** `type.googleapis.com/envoy.config.route.v3.RouteConfiguration` → `RouteConfiguration`. */
function shortType(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
}

function byName(a: ResourceStatus, b: ResourceStatus): number {
  const [left, right] = [`${a.type} ${a.name} ${a.version}`, `${b.type} ${b.name} ${b.version}`];
  return left < right ? -1 : left > right ? 1 : 0;
}

function reconciled(states: readonly ResourceState[], refusals: readonly string[]): ObjectCondition {
  const type = "Reconciled";
  const total = states.length;
  if (total === 0) {
    return { type, status: "Unknown", reason: "NoProxies", message: "no connected proxy uses it" };
  }
  const synced = states.filter((state) => state === "synced").length;
  const refused = states.filter((state) => state === "nack").length;
  const progress = `${synced}/${total} proxies up to date`;
  if (refused > 0) {
    return {
      type,
      status: "False",
      reason: "Refused",
      message: `${progress}; refused by ${quoteSome(refusals)}`,
    };
  }
  if (synced < total) return { type, status: "False", reason: "InProgress", message: progress };
  return { type, status: "True", reason: "Synced", message: progress };
}

function worse(a: ResourceState | undefined, b: ResourceState): ResourceState {
  if (a === "nack" || b === "nack") return "nack";
  return a === undefined || a === "synced" ? b : a;
}

function quoteSome(texts: readonly string[]): string {
  const shown = texts.slice(0, MAX_QUOTED).join("; ");
  return texts.length > MAX_QUOTED ? `${shown}; and ${texts.length - MAX_QUOTED} more` : shown;
}
