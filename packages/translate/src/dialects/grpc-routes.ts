import { create } from "@bufbuild/protobuf";
import {
  RetryPolicySchema,
  RouteActionSchema,
  RouteSchema,
  type RetryPolicy,
  type Route,
  type RouteAction,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { COOKIE_PREFIX } from "@tulle/api";
import { durationOf } from "../duration.js";
import { NOBODY } from "../names.js";
import { RESET_FILTER } from "../routes/annotated-faults.js";
import { CORS_FILTER } from "../routes/cors.js";
import { EXTERNAL_AUTH_FILTER } from "../routes/external-auth.js";
import { FAULT_FILTER } from "../routes/fault.js";
import type { Translation } from "../translation.js";

/** The conditions that gRPC retries on (gRFC A44). */
const RETRY_ON: ReadonlySet<string> = new Set([
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

/** Path conditions that gRPC reads (gRFC A28). */
const PATHS: ReadonlySet<string | undefined> = new Set(["prefix", "path", "safeRegex"]);

/**
 * Makes a route fit for proxyless gRPC, in place. False when it must be left out: the client would refuse the whole
 * resource, or would not see a condition and send all traffic this way.
 */
export function grpcRoute(t: Translation, route: Route): boolean {
  failInstead(t, route);
  segmentsAsPrefix(route);
  const refused = refusal(route);
  if (refused !== undefined) {
    t.warn(`route ${route.name} is left out for proxyless gRPC clients: they do not know ${refused}`);
    return false;
  }
  const ignored = ignoredParts(route);
  if (ignored.length > 0) {
    t.warn(`route ${route.name}: proxyless gRPC clients ignore ${ignored.join(", ")}`);
  }
  const bare = create(RouteSchema, { name: route.name, match: route.match, metadata: route.metadata });
  if (route.action.case === "route") bare.action = { case: "route", value: bareAction(route.action.value) };
  const fault = route.typedPerFilterConfig[FAULT_FILTER];
  Object.assign(route, {
    action: bare.action,
    typedPerFilterConfig: fault === undefined ? {} : { [FAULT_FILTER]: fault },
    requestHeadersToAdd: [],
    requestHeadersToRemove: [],
    responseHeadersToAdd: [],
    responseHeadersToRemove: [],
  });
  return true;
}

/** Clients know no answer of their own, but what leads nowhere is UNAVAILABLE to them: that stands for every error. */
function failInstead(t: Translation, route: Route): void {
  const asks = Object.hasOwn(route.typedPerFilterConfig, EXTERNAL_AUTH_FILTER);
  if (asks)
    t.warn(`route ${route.name}: proxyless gRPC clients cannot ask an authorization service; its calls fail`);
  else if (route.action.case !== "directResponse" || route.action.value.status < 400) return;
  route.action = {
    case: "route",
    value: create(RouteActionSchema, { clusterSpecifier: { case: "cluster", value: NOBODY } }),
  };
}

/** A call's path has two segments, so a prefix of one segment ends where the next begins. */
function segmentsAsPrefix({ match }: Route): void {
  if (match?.pathSpecifier.case !== "pathSeparatedPrefix") return;
  match.pathSpecifier = { case: "prefix", value: `${match.pathSpecifier.value}/` };
}

function refusal(route: Route): string | undefined {
  if (route.action.case !== "route") return "redirects and direct responses";
  if ((route.match?.queryParameters.length ?? 0) > 0) return "conditions on query parameters";
  if (route.match?.headers.some(({ name }) => name.startsWith(COOKIE_PREFIX)) === true)
    return "conditions on cookies";
  if (!PATHS.has(route.match?.pathSpecifier.case)) return "its path condition";
  return undefined;
}

function ignoredParts(route: Route): string[] {
  const action = route.action.case === "route" ? route.action.value : create(RouteActionSchema);
  const clusters =
    action.clusterSpecifier.case === "weightedClusters" ? action.clusterSpecifier.value.clusters : [];
  const headers = [route, ...clusters].some(
    (part) =>
      part.requestHeadersToAdd.length +
        part.requestHeadersToRemove.length +
        part.responseHeadersToAdd.length +
        part.responseHeadersToRemove.length >
      0,
  );
  const parts: readonly (readonly [string, boolean])[] = [
    ["CORS", Object.hasOwn(route.typedPerFilterConfig, CORS_FILTER)],
    ["connection resets", Object.hasOwn(route.typedPerFilterConfig, RESET_FILTER)],
    ["header operations", headers],
    ["path rewriting", action.prefixRewrite !== "" || action.regexRewrite !== undefined],
    ["host rewriting", action.hostRewriteSpecifier.case !== undefined],
    ["internal redirects", action.internalRedirectPolicy !== undefined],
    ["mirroring", action.requestMirrorPolicies.length > 0],
  ];
  return parts.filter(([, present]) => present).map(([name]) => name);
}

/** Destination, timeout, retries and hash: all that gRPC reads of an action. */
function bareAction(action: RouteAction): RouteAction {
  const bare = create(RouteActionSchema, { hashPolicy: action.hashPolicy });
  if (action.clusterSpecifier.case === "weightedClusters") {
    bare.clusterSpecifier = create(RouteActionSchema, {
      clusterSpecifier: {
        case: "weightedClusters",
        value: {
          clusters: action.clusterSpecifier.value.clusters.map(({ name, weight }) => ({ name, weight })),
        },
      },
    }).clusterSpecifier;
  } else {
    bare.clusterSpecifier = action.clusterSpecifier;
  }
  bare.retryPolicy = bareRetries(action.retryPolicy);
  const times = [action.timeout, action.maxStreamDuration?.maxStreamDuration].map(nanosOf);
  const limits = times.filter((nanos) => nanos > 0);
  // gRPC reads its timeout from here and never from `timeout` (gRFC A31).
  if (limits.length > 0) {
    bare.maxStreamDuration = create(RouteActionSchema, {
      maxStreamDuration: { maxStreamDuration: durationOf(Math.min(...limits) / 1e6) },
    }).maxStreamDuration;
  }
  return bare;
}

function nanosOf(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1e9 + duration.nanos;
}

function bareRetries(policy: RetryPolicy | undefined): RetryPolicy | undefined {
  const conditions = (policy?.retryOn ?? "").split(",").filter((condition) => RETRY_ON.has(condition));
  if (policy === undefined || conditions.length === 0) return undefined;
  return create(RetryPolicySchema, {
    retryOn: conditions.join(","),
    numRetries: Math.max(1, policy.numRetries ?? 1),
    retryBackOff: policy.retryBackOff,
  });
}
