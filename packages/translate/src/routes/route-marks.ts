import { create, type JsonObject } from "@bufbuild/protobuf";
import { parseDuration } from "@tulle/base";
import type { HttpRetry, ObjectMeta } from "@tulle/api";
import { MetadataSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { TrafficPolicy } from "../traffic-policies.js";
import { TULLE_METADATA } from "../provenance.js";
import type { Translation } from "../translation.js";

/** Annotation of a VirtualService: its conditions for retries count for every method, POST too. */
export const RETRY_NON_IDEMPOTENT = "tulle.dev/retry-non-idempotent";
/** Annotations of a VirtualService: after how long a request gets one more try beside those under way, and how many. */
export const HEDGE_AFTER = "tulle.dev/hedge-after";
export const HEDGE_MAX = "tulle.dev/hedge-max";

/** Tries beside the first that sidecars make at most. */
const MAX_HEDGES = 5;
const MAX_HEDGE_AFTER_MS = 3_600_000;

/** When more tries are sent than one, before any has failed. Only requests that may be repeated get them. */
export interface HedgeSettings {
  /** So long without an answer. */
  readonly afterMs: number;
  /** Tries beside the first, 1 to 5. */
  readonly max: number;
}

/** Says on a route what Envoy's retry policy has no field for, as metadata that only Tulle's sidecars read. */
export function markRetries(
  route: Route,
  retries: HttpRetry | undefined,
  { annotations }: Pick<ObjectMeta, "annotations">,
): void {
  if ((retries?.retryOn ?? "") !== "") mark(route, { retryOnStated: true });
  if (annotations?.[RETRY_NON_IDEMPOTENT] === "true") mark(route, { retryNonIdempotent: true });
}

/** Hedges the requests of a route. */
export function markHedge(route: Route, { afterMs, max }: HedgeSettings): void {
  mark(route, { hedge: { afterMs, max } });
}

/** What an object's annotations say of hedging; undefined for nothing that can be used, with a warning if they say any. */
export function annotatedHedge(
  t: Translation,
  where: string,
  { annotations }: Pick<ObjectMeta, "annotations">,
): HedgeSettings | undefined {
  const after = annotations?.[HEDGE_AFTER];
  if (after === undefined) return undefined;
  const afterMs = parseDuration(after) ?? 0;
  const max = Number(annotations?.[HEDGE_MAX] ?? "1");
  if (afterMs < 1 || afterMs > MAX_HEDGE_AFTER_MS) {
    t.warn(`${where}: annotation ${HEDGE_AFTER} must be a duration such as 50ms; nothing is hedged`);
    return undefined;
  }
  if (!Number.isInteger(max) || max < 1 || max > MAX_HEDGES) {
    t.warn(`${where}: annotation ${HEDGE_MAX} must be between 1 and ${MAX_HEDGES}; nothing is hedged`);
    return undefined;
  }
  return { afterMs, max };
}

/** What a TrafficPolicy says of routes that have no word of their own. */
export function markPolicy(
  t: Translation,
  routes: readonly Route[],
  { hedging, retries }: TrafficPolicy,
): void {
  if (hedging === undefined && retries?.nonIdempotent !== true) return;
  if (t.view.dialect === "grpc") {
    t.warn(
      "proxyless gRPC clients do not hedge, and retry what they always do: hedging and retries have no effect",
    );
    return;
  }
  for (const route of routes) {
    if (route.action.case !== "route") continue;
    const marks = route.metadata?.filterMetadata[TULLE_METADATA] ?? {};
    if (hedging !== undefined && !Object.hasOwn(marks, "hedge"))
      markHedge(route, { afterMs: parseDuration(hedging.after) ?? 0, max: hedging.max ?? 1 });
    if (retries?.nonIdempotent === true) mark(route, { retryNonIdempotent: true });
  }
}

function mark(route: Route, marks: JsonObject): void {
  route.metadata ??= create(MetadataSchema);
  const { filterMetadata } = route.metadata;
  filterMetadata[TULLE_METADATA] = { ...filterMetadata[TULLE_METADATA], ...marks };
}
