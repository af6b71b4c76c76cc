import type { Any } from "@bufbuild/protobuf/wkt";
import type { LocalRateLimitDescriptor } from "@tulle/xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js";
import {
  VhRateLimitsOptions,
  XRateLimitHeadersRFCVersion,
} from "@tulle/xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import type { RuntimeFractionalPercent } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { TokenBucket } from "@tulle/xds/gen/envoy/type/v3/token_bucket_pb.js";
import type { AdmissionStep, TokenLimit } from "../contract.js";
import { saltOf } from "../entropy.js";
import { compileShare, type Share } from "../route/fraction.js";
import { compileLiteralMutations } from "../route/header-mutations.js";
import { unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { FilterKind } from "./filter-kind.js";
import { LocalRateLimitStep, type LimitedDescriptor } from "./local-rate-limit-step.js";

/** `envoy.filters.http.local_ratelimit`: token buckets of this proxy. */
export const localRateLimitKind: FilterKind = {
  type: LocalRateLimitSchema.typeName,
  routeType: LocalRateLimitSchema.typeName,
  compile: compileLocalRateLimit,
  compileRoute: compileLocalRateLimit,
};

const TOO_MANY_REQUESTS = 429;

function compileLocalRateLimit(field: string, any: Any, place: string): AdmissionStep | undefined {
  const config = unpack(field, any, LocalRateLimitSchema);
  if (config.statPrefix === "") throw invalid(at(field, "stat_prefix"), "must not be empty");
  if (config.localClusterRateLimit !== undefined)
    throw invalid(at(field, "local_cluster_rate_limit"), "is not supported: each proxy counts for itself");
  const enabled = shareOf(at(field, "filter_enabled"), config.filterEnabled, `${place}/enabled`);
  const enforced = shareOf(at(field, "filter_enforced"), config.filterEnforced, `${place}/enforced`);
  const bucket = compileBucket(at(field, "token_bucket"), config.tokenBucket);
  const descriptors = config.descriptors.map((descriptor, index) =>
    compileDescriptor(at(field, `descriptors[${index}]`), descriptor),
  );
  // Without shares nobody is limited, as in Envoy.
  if (enabled === undefined || (bucket === undefined && descriptors.length === 0)) return undefined;
  const mutations = compileLiteralMutations(field, {
    requestHeadersToAdd: config.requestHeadersToAddWhenNotEnforced,
    requestHeadersToRemove: [],
    responseHeadersToAdd: config.responseHeadersToAdd,
    responseHeadersToRemove: [],
  });
  const status: number = config.status?.code ?? TOO_MANY_REQUESTS;
  return new LocalRateLimitStep({
    name: config.statPrefix,
    place,
    enabled,
    enforced,
    bucket,
    descriptors,
    stage: config.stage,
    perConnection: config.localRateLimitPerDownstreamConnection,
    status: status < 400 ? TOO_MANY_REQUESTS : status,
    exhausted: config.rateLimitedAsResourceExhausted,
    tellsLimits: config.enableXRatelimitHeaders === XRateLimitHeadersRFCVersion.DRAFT_VERSION_03,
    hostLimits:
      config.vhRateLimits === VhRateLimitsOptions.INCLUDE
        ? "include"
        : config.vhRateLimits === VhRateLimitsOptions.IGNORE
          ? "ignore"
          : "override",
    alwaysDefault: config.alwaysConsumeDefaultTokenBucket ?? true,
    whenNotEnforced: mutations.request,
    onLimited: mutations.response,
  });
}

function shareOf(
  field: string,
  fraction: RuntimeFractionalPercent | undefined,
  place: string,
): Share | undefined {
  if (fraction?.defaultValue === undefined) return undefined;
  const { defaultValue, runtimeKey } = fraction;
  if (defaultValue.numerator === 0 && runtimeKey === "") return undefined;
  return compileShare(at(field, "default_value"), defaultValue, saltOf(place), runtimeKey);
}

function compileBucket(field: string, bucket: TokenBucket | undefined): TokenLimit | undefined {
  if (bucket === undefined) return undefined;
  const intervalMs = durationMs(at(field, "fill_interval"), bucket.fillInterval) ?? 0;
  const tokens = bucket.tokensPerFill ?? 1;
  if (bucket.maxTokens < 1) throw invalid(at(field, "max_tokens"), "must be at least 1");
  if (tokens < 1) throw invalid(at(field, "tokens_per_fill"), "must be at least 1");
  if (intervalMs < 1) throw invalid(at(field, "fill_interval"), "must be above zero");
  return { maxTokens: bucket.maxTokens, msPerToken: intervalMs / tokens };
}

function compileDescriptor(
  field: string,
  { entries, tokenBucket }: LocalRateLimitDescriptor,
): LimitedDescriptor {
  if (entries.length === 0) throw invalid(at(field, "entries"), "must not be empty");
  const bucket = compileBucket(at(field, "token_bucket"), tokenBucket);
  if (bucket === undefined) throw invalid(at(field, "token_bucket"), "must be set");
  return { entries: entries.map(({ key, value }) => [key, value] as const), bucket };
}
