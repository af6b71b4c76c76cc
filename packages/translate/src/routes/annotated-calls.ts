import { parseDuration } from "@tulle/base";
import { create } from "@bufbuild/protobuf";
import type { HttpRetry } from "@tulle/api";
import {
  RouteAction_MaxStreamDurationSchema,
  type RouteAction,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { durationOf } from "../duration.js";
import { GRPC_ROUTE, HTTP_ROUTE } from "../kinds.js";
import type { MeshService } from "../mesh-service.js";
import type { Translation } from "../translation.js";
import type { RouteRule } from "./rule.js";

const RETRY_HTTP = "retry.linkerd.io/http";
const RETRY_GRPC = "retry.linkerd.io/grpc";
const RETRY_LIMIT = "retry.linkerd.io/limit";
const RETRY_TIMEOUT = "retry.linkerd.io/timeout";
const TIMEOUT_REQUEST = "timeout.linkerd.io/request";
const TIMEOUT_RESPONSE = "timeout.linkerd.io/response";
const TIMEOUT_IDLE = "timeout.linkerd.io/idle";

/** Linkerd's annotations about calls, and the kinds of routes that they are not for. */
export const CALL_ANNOTATIONS: Readonly<Record<string, readonly string[]>> = {
  [RETRY_HTTP]: [GRPC_ROUTE.kind],
  [RETRY_GRPC]: [HTTP_ROUTE.kind],
  [RETRY_LIMIT]: [],
  [RETRY_TIMEOUT]: [],
  [TIMEOUT_REQUEST]: [],
  [TIMEOUT_RESPONSE]: [],
  [TIMEOUT_IDLE]: [],
};

const GRPC_STATUSES = ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];
/** Try again where nothing can have been done yet, as everywhere in the mesh. */
const SAFE = "connect-failure,refused-stream,reset-before-request";
const MAX_LIMIT = 100;
const MAX_TIMEOUT_MS = 86_400_000;

/** Times of a call, milliseconds; undefined = nothing is said. */
export interface CallTimes {
  /** From the beginning of the request to the end of its answer. */
  readonly request: number | undefined;
  /** From the end of the request to the end of its answer. */
  readonly response: number | undefined;
  /** Without a byte in either direction. */
  readonly idle: number | undefined;
}

/** What Linkerd's annotations of one object say of calls. */
export interface AnnotatedCalls {
  readonly retries: HttpRetry | undefined;
  readonly times: CallTimes | undefined;
}

type Annotations = Readonly<Record<string, string>>;

/**
 * A rule with what the annotations of its object say (`retry.linkerd.io/*`, `timeout.linkerd.io/*`), and where those of
 * one group say nothing, what its service's do. A rule's own words come before both.
 */
export function withAnnotatedCalls(
  rule: RouteRule,
  own: AnnotatedCalls,
  service?: AnnotatedCalls,
): RouteRule {
  const retries = rule.retries ?? own.retries ?? service?.retries;
  const times = own.times ?? rule.times ?? service?.times;
  if (retries === rule.retries && times === rule.times) return rule;
  return { ...rule, ...(retries && { retries }), ...(times && { times }) };
}

/** What a service's object or instances say of calls to it; undefined = nothing. */
export function callsOfService(
  t: Translation,
  service: Pick<MeshService, "host" | "annotations"> | undefined,
): AnnotatedCalls | undefined {
  if (service?.annotations === undefined) return undefined;
  return annotatedCalls(t, service.host, service.annotations);
}

/** What annotations say of calls. Warns of values that mean nothing, and of those that are not for a route of `kind`. */
export function annotatedCalls(
  t: Translation,
  where: string,
  annotations: Annotations = {},
  kind = "",
): AnnotatedCalls {
  const said = (key: string): string | undefined => {
    if (!Object.hasOwn(annotations, key)) return undefined;
    if (CALL_ANNOTATIONS[key]?.includes(kind) !== true) return annotations[key]!.trim();
    t.warn(`${where}: annotation ${key} is not for a ${kind}; it has no effect`);
    return undefined;
  };
  const time = (key: string): number | undefined => {
    const text = said(key);
    if (text === undefined) return undefined;
    const ms = parseDuration(text);
    if (ms !== undefined && ms <= MAX_TIMEOUT_MS) return ms;
    t.warn(`${where}: annotation ${key} must be a duration such as 20ms, a day at most; it has no effect`);
    return undefined;
  };
  const request = time(TIMEOUT_REQUEST);
  const response = time(TIMEOUT_RESPONSE);
  const idle = time(TIMEOUT_IDLE);
  const isTimed = request !== undefined || response !== undefined || idle !== undefined;
  return {
    retries: annotatedRetries(t, where, said, time),
    times: isTimed ? { request, response, idle } : undefined,
  };
}

function annotatedRetries(
  t: Translation,
  where: string,
  said: (key: string) => string | undefined,
  time: (key: string) => number | undefined,
): HttpRetry | undefined {
  const conditions = [
    ...listed(t, where, RETRY_HTTP, said(RETRY_HTTP), httpStatuses),
    ...listed(t, where, RETRY_GRPC, said(RETRY_GRPC), (each) =>
      GRPC_STATUSES.includes(each) ? [each] : undefined,
    ),
  ];
  const limit = said(RETRY_LIMIT);
  const perTryMs = time(RETRY_TIMEOUT) ?? 0;
  const attempts = /^[1-9]\d*$/.test(limit ?? "1") ? Math.min(Number(limit ?? "1"), MAX_LIMIT) : undefined;
  if (attempts === undefined)
    t.warn(`${where}: annotation ${RETRY_LIMIT} must be a whole number above 0; one retry is made`);
  if (conditions.length === 0) {
    if (limit !== undefined || perTryMs > 0)
      t.warn(
        `${where}: retries need the annotation ${RETRY_HTTP} or ${RETRY_GRPC}; the others have no effect`,
      );
    return undefined;
  }
  // A try whose time is up is tried again where that is safe.
  if (perTryMs > 0) conditions.push("reset");
  return {
    attempts: attempts ?? 1,
    retryOn: [SAFE, ...conditions].join(","),
    ...(perTryMs > 0 && { perTryTimeout: `${perTryMs}ms` }),
  };
}

/** The conditions of a list, without what means nothing. */
function listed(
  t: Translation,
  where: string,
  key: string,
  text: string | undefined,
  parse: (each: string) => readonly string[] | undefined,
): string[] {
  if (text === undefined) return [];
  return text.split(",").flatMap((part) => {
    const conditions = parse(part.trim());
    if (conditions === undefined)
      t.warn(`${where}: annotation ${key} has ${JSON.stringify(part.trim())}, which means nothing here`);
    return conditions ?? [];
  });
}

/** `5xx`, `gateway-error`, a status or a range of them. */
function httpStatuses(text: string): readonly string[] | undefined {
  if (text === "5xx" || text === "gateway-error") return [text];
  const range = /^(\d{3})(?:-(\d{3}))?$/.exec(text);
  if (range === null) return undefined;
  const first = Number(range[1]);
  const last = Number(range[2] ?? range[1]);
  if (first < 100 || last > 599 || last < first) return undefined;
  return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
}

/** Sets the times of a call on a route's action. */
export function applyTimes(action: RouteAction, { request, response, idle }: CallTimes): void {
  if (response !== undefined) action.timeout = durationOf(response);
  if (idle !== undefined) action.idleTimeout = durationOf(idle);
  if (request !== undefined)
    action.maxStreamDuration = create(RouteAction_MaxStreamDurationSchema, {
      maxStreamDuration: durationOf(request),
    });
}
