import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { MeshObject, RateLimitMatch, RateLimitRule, RateLimitSpec } from "@tulle/api";
import {
  RateLimitSchema,
  type RateLimit,
  type RateLimit_ActionSchema,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  LocalRateLimitDescriptorSchema,
  XRateLimitHeadersRFCVersion,
} from "@tulle/xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { SourceIdentitySchema } from "@tulle/xds/gen/tulle/ratelimit/v1/source_identity_pb.js";
import { durationOfText } from "./duration.js";
import { globalRateLimit } from "./global-rate-limit.js";
import { hostMatch } from "./hosts.js";
import { RATE_LIMIT } from "./kinds.js";
import { fraction, packed } from "./messages.js";
import { limitFilterName, matchersOf, type TranslatedRateLimit } from "./rate-limit-parts.js";
import type { Translation } from "./translation.js";
import { byAge, selects } from "./visibility.js";

/** The limits of a service (full host) that this client carries out, oldest object first. */
export function rateLimitsOf(
  t: Translation,
  host: string,
  direction: "INBOUND" | "OUTBOUND",
): readonly TranslatedRateLimit[] {
  // Proxyless clients have no such filter.
  if (t.view.dialect === "grpc") return [];
  return [...t.objects<RateLimitSpec>(RATE_LIMIT)]
    .filter((object) => concerns(t, object, host, direction))
    .sort(byAge)
    .flatMap((object) => {
      t.own(object);
      const limit = object.spec.global === undefined ? translated(t, object) : globalRateLimit(t, object);
      return limit === undefined ? [] : [limit];
    });
}

function concerns(
  t: Translation,
  { spec, metadata: { namespace } }: MeshObject<RateLimitSpec>,
  host: string,
  direction: "INBOUND" | "OUTBOUND",
): boolean {
  if ((spec.direction ?? "INBOUND") !== direction) return false;
  if (!selects(spec.selector?.matchLabels, t.view.labels)) return false;
  if (spec.host !== undefined) return hostMatch(spec.host, namespace, host, t.settings.domainSuffix) > 0;
  return namespace === t.view.namespace;
}

function translated(t: Translation, { spec, metadata }: MeshObject<RateLimitSpec>): TranslatedRateLimit {
  const id = `${metadata.namespace}/${metadata.name}`;
  const filter = create(LocalRateLimitSchema, {
    statPrefix: id,
    status: { code: spec.status ?? 429 },
    filterEnabled: { defaultValue: fraction(100) },
    filterEnforced: {
      defaultValue: fraction(spec.shadow === true ? 0 : 100),
      runtimeKey: spec.runtimeKey ?? "",
    },
    enableXRatelimitHeaders:
      spec.tellsLimits === false
        ? XRateLimitHeadersRFCVersion.OFF
        : XRateLimitHeadersRFCVersion.DRAFT_VERSION_03,
    rateLimitedAsResourceExhausted: spec.grpcStatus !== "UNAVAILABLE",
  });
  const sources: RateLimit[] = [];
  (spec.limits ?? []).forEach((limit, index) => {
    const key = `${id}/${index}`;
    const condition = conditionOf(t, limit.match, key, `RateLimit ${id} limits[${index}]`);
    if (condition === undefined) return;
    const caller = callerOf(limit);
    sources.push(create(RateLimitSchema, { actions: [condition.action, ...caller.actions] }));
    const descriptor = create(LocalRateLimitDescriptorSchema, {
      // An entry without value has a bucket for each value.
      entries: [condition.entry, ...caller.keys.map((name) => ({ key: name, value: "" }))],
      tokenBucket: {
        maxTokens: limit.burst ?? limit.requests,
        tokensPerFill: limit.requests,
        fillInterval: durationOfText(limit.interval),
      },
    });
    filter.descriptors.push(descriptor);
  });
  return { name: limitFilterName(metadata), filter, sources };
}

type ActionInit = MessageInitShape<typeof RateLimit_ActionSchema>;

interface Condition {
  readonly action: ActionInit;
  readonly entry: { readonly key: string; readonly value: string };
}

/** Which requests a limit counts. Undefined when that cannot be said. */
function conditionOf(
  t: Translation,
  match: RateLimitMatch | undefined,
  value: string,
  where: string,
): Condition | undefined {
  const headers = match === undefined ? [] : matchersOf(t, match, where);
  if (headers === undefined) return undefined;
  const action: ActionInit =
    headers.length === 0
      ? { actionSpecifier: { case: "genericKey", value: { descriptorValue: value } } }
      : { actionSpecifier: { case: "headerValueMatch", value: { descriptorValue: value, headers } } };
  return { action, entry: { key: headers.length === 0 ? "generic_key" : "header_match", value } };
}

/** Whose count it is. */
function callerOf({ per, perHeader }: RateLimitRule): {
  readonly actions: readonly ActionInit[];
  readonly keys: readonly string[];
} {
  if (perHeader !== undefined) {
    const value = { headerName: perHeader.toLowerCase(), descriptorKey: "header" };
    return { actions: [{ actionSpecifier: { case: "requestHeaders", value } }], keys: ["header"] };
  }
  if (per === "CLIENT_ADDRESS") {
    return { actions: [{ actionSpecifier: { case: "remoteAddress", value: {} } }], keys: ["remote_address"] };
  }
  if (per === undefined) return { actions: [], keys: [] };
  const value = { name: "tulle.source_identity", typedConfig: packed(SourceIdentitySchema) };
  return { actions: [{ actionSpecifier: { case: "extension", value } }], keys: ["source_identity"] };
}
