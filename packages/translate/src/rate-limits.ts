import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { MeshObject, RateLimitRule, RateLimitSpec } from "@tulle/api";
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
import { consulRateLimit } from "./consul/instance-limits.js";
import { durationOfText } from "./duration.js";
import { globalRateLimit } from "./global-rate-limit.js";
import { hostMatch } from "./hosts.js";
import { RATE_LIMIT } from "./kinds.js";
import { meshRateLimits } from "./kuma/rate-limit.js";
import { fraction, packed } from "./messages.js";
import { spiffeIds } from "./names.js";
import {
  limitFilterName,
  matchersOf,
  type LimitMatch,
  type TranslatedRateLimit,
} from "./rate-limit-parts.js";
import type { Translation } from "./translation.js";
import { byAge, selects } from "./visibility.js";

/** The limits of a service (full host) that this client carries out: the oldest RateLimit first, then those of Consul's entries and of Kuma's policies. */
export function rateLimitsOf(
  t: Translation,
  host: string,
  direction: "INBOUND" | "OUTBOUND",
): readonly TranslatedRateLimit[] {
  // Proxyless clients have no such filter.
  if (t.view.dialect === "grpc") return [];
  const byConsul = direction === "INBOUND" ? consulRateLimit(t, host) : undefined;
  const limits = [...t.objects<RateLimitSpec>(RATE_LIMIT)]
    .filter((object) => concerns(t, object, host, direction))
    .sort(byAge)
    .flatMap((object) => {
      t.own(object);
      const { limits = [], global } = object.spec;
      const limit =
        global === undefined
          ? localRateLimit(t, object, { ...object.spec, limits })
          : globalRateLimit(t, object);
      return limit === undefined ? [] : [limit];
    });
  if (byConsul !== undefined)
    limits.push(localRateLimit(t, byConsul, { ...byConsul.spec, limits: byConsul.spec.limits ?? [] }));
  return direction === "INBOUND" ? [...limits, ...meshRateLimits(t)] : limits;
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

/** Limits that each sidecar counts by itself, from whatever object. */
export interface LocalLimits extends Pick<
  RateLimitSpec,
  "shadow" | "runtimeKey" | "status" | "grpcStatus" | "tellsLimits"
> {
  readonly limits: readonly LocalLimit[];
}

/** As a RateLimit has it; without `requests` only the overrides hold. */
export interface LocalLimit extends Omit<RateLimitRule, "requests"> {
  readonly requests?: number | undefined;
}

/** The filter of an object's limits, and what it must know of requests. */
export function localRateLimit(
  t: Translation,
  { kind, metadata }: Pick<MeshObject, "kind" | "metadata">,
  spec: LocalLimits,
): TranslatedRateLimit {
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
  spec.limits.forEach((limit, index) => {
    for (const part of partsOf(t, limit, metadata.namespace)) {
      const key = `${id}/${index}${part.suffix}`;
      const condition = conditionOf(t, limit.match, key, `${kind} ${id} limits[${index}]`);
      if (condition === undefined) return;
      sources.push(create(RateLimitSchema, { actions: [condition.action, ...part.caller.actions] }));
      const { requests, interval, burst } = part.numbers;
      const descriptor = create(LocalRateLimitDescriptorSchema, {
        // An entry without value has a bucket for each value.
        entries: [condition.entry, ...part.caller.keys.map((name) => ({ key: name, value: "" }))],
        tokenBucket: {
          maxTokens: burst ?? requests,
          tokensPerFill: requests,
          fillInterval: durationOfText(interval),
        },
      });
      filter.descriptors.push(descriptor);
    }
  });
  return { name: limitFilterName(metadata), filter, sources };
}

/** Callers with buckets of the same size. */
interface LimitPart {
  /** Tells the parts of a limit apart. */
  readonly suffix: string;
  readonly numbers: Pick<RateLimitRule, "requests" | "interval" | "burst">;
  readonly caller: Caller;
}

/** What a limit says of most callers, and of those for whom it says something else. */
function partsOf(t: Translation, limit: LocalLimit, namespace: string): readonly LimitPart[] {
  const { overrides = [], requests, interval, burst, per, countsUnidentified = false } = limit;
  const overridden = overrides.map(({ serviceAccounts }) =>
    serviceAccounts.flatMap((account) => {
      const [name = "", inNamespace = namespace] = account.split("/").toReversed();
      return spiffeIds(t.settings, inNamespace, name);
    }),
  );
  const others: LimitPart[] = overrides.map((override, index) => ({
    suffix: `/${index}`,
    numbers: { ...override, interval: override.interval ?? interval },
    caller: identified({ only: overridden[index] ?? [] }),
  }));
  if (requests === undefined) return others;
  const caller =
    per === "SOURCE"
      ? identified({ except: overridden.flat(), ...(countsUnidentified && { unidentified: UNIDENTIFIED }) })
      : callerOf(limit);
  return [
    { suffix: "", numbers: { requests, interval, ...(burst !== undefined && { burst }) }, caller },
    ...others,
  ];
}

/** In place of an identity; no SPIFFE id is like it. */
const UNIDENTIFIED = "unidentified";

type ActionInit = MessageInitShape<typeof RateLimit_ActionSchema>;

interface Condition {
  readonly action: ActionInit;
  readonly entry: { readonly key: string; readonly value: string };
}

/** Which requests a limit counts. Undefined when that cannot be said. */
function conditionOf(
  t: Translation,
  match: LimitMatch | undefined,
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
interface Caller {
  readonly actions: readonly ActionInit[];
  readonly keys: readonly string[];
}

function callerOf({ per, perHeader }: Pick<RateLimitRule, "per" | "perHeader">): Caller {
  if (perHeader !== undefined) {
    const value = { headerName: perHeader.toLowerCase(), descriptorKey: "header" };
    return { actions: [{ actionSpecifier: { case: "requestHeaders", value } }], keys: ["header"] };
  }
  if (per === "CLIENT_ADDRESS") {
    return { actions: [{ actionSpecifier: { case: "remoteAddress", value: {} } }], keys: ["remote_address"] };
  }
  return { actions: [], keys: [] };
}

function identified(config: MessageInitShape<typeof SourceIdentitySchema>): Caller {
  const value = { name: "tulle.source_identity", typedConfig: packed(SourceIdentitySchema, config) };
  return { actions: [{ actionSpecifier: { case: "extension", value } }], keys: ["source_identity"] };
}
