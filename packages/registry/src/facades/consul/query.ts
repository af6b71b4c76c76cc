import { MeshError, parseDuration } from "@tulle/base";
import type { Context } from "hono";
import type { Registry } from "../../registry.js";
import type { ServiceState } from "../../state.js";

/** Longest time that a blocking query waits, milliseconds. */
const MAX_WAIT_MS = 600_000;
const DEFAULT_WAIT_MS = 300_000;

/** A request that Consul would refuse with 400. */
export function badRequest(message: string): MeshError {
  return new MeshError("invalid", "REGISTRY_BAD_REQUEST", message);
}

/** The boolean query parameters of Go: present without a value is true; `false`, `f` and `0` are false. */
export function flagOf(context: Context, name: string): boolean {
  const value = context.req.query(name);
  if (value === undefined) return false;
  if (["", "1", "t", "true"].includes(value.toLowerCase())) return true;
  if (["0", "f", "false"].includes(value.toLowerCase())) return false;
  throw badRequest(`Invalid value for ?${name}: must be true or false`);
}

export interface BlockingQuery {
  /** 0 = answer at once. */
  readonly index: number;
  readonly waitMs: number;
}

/** `?index=` and `?wait=` of a blocking query. */
export function blockingOf(context: Context): BlockingQuery {
  const index = context.req.query("index");
  const wait = context.req.query("wait");
  if (index !== undefined && !/^\d{1,20}$/.test(index)) throw badRequest("Invalid index: must be a number");
  const waitMs = wait === undefined || wait === "" ? DEFAULT_WAIT_MS : parseDuration(wait);
  if (waitMs === undefined) throw badRequest("Invalid wait time: must be a duration such as 30s");
  return {
    index: Number(index ?? 0),
    waitMs: Math.min(waitMs === 0 ? DEFAULT_WAIT_MS : waitMs, MAX_WAIT_MS),
  };
}

/** Refuses what all requests have in common and we cannot serve, rather than to answer something else. */
export function checkCommon(context: Context, registry: Registry): void {
  const datacenter = context.req.query("dc");
  if (
    datacenter !== undefined &&
    datacenter !== "" &&
    datacenter.toLowerCase() !== registry.datacenter.toLowerCase()
  ) {
    throw new MeshError("internal", "REGISTRY_NO_DATACENTER", "No path to datacenter");
  }
  if ((context.req.query("filter") ?? "") !== "") {
    throw badRequest(
      "filter expressions are not supported: use ?passing, ?tag= or ?node-meta=, or filter the answer",
    );
  }
  if (context.req.query("stale") !== undefined && context.req.query("consistent") !== undefined) {
    throw badRequest("?stale and ?consistent exclude each other: give one");
  }
}

/** Whether a registration has all of `?tag=` (any case) and its node all of `?node-meta=key:value`. */
export function matcherOf(context: Context): (service: ServiceState) => boolean {
  const tags = (context.req.queries("tag") ?? []).filter((tag) => tag !== "").map((tag) => tag.toLowerCase());
  const metas = (context.req.queries("node-meta") ?? []).map((pair) => {
    const at = pair.indexOf(":");
    return at < 0 ? ([pair, ""] as const) : ([pair.slice(0, at), pair.slice(at + 1)] as const);
  });
  return ({ definition, node }) => {
    const own = new Set(definition.tags.map((tag) => tag.toLowerCase()));
    const { meta } = node.definition;
    return (
      tags.every((tag) => own.has(tag)) &&
      metas.every(([key, value]) => Object.hasOwn(meta, key) && meta[key] === value)
    );
  };
}
