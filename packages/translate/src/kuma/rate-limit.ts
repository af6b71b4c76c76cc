import { create } from "@bufbuild/protobuf";
import type { HeaderField, MeshRateLimit } from "@tulle/api";
import {
  HeaderValueOption_HeaderAppendAction,
  type HeaderValueOptionSchema,
} from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { XRateLimitHeadersRFCVersion } from "@tulle/xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { durationOfText } from "../duration.js";
import { fraction } from "../messages.js";
import type { TranslatedRateLimit } from "../rate-limit-parts.js";
import type { Translation } from "../translation.js";
import { inboundConf } from "./inbound-policies.js";
import { MESH_RATE_LIMIT } from "./kinds.js";

const FILTER_NAME = "tulle.mesh_rate_limit";
const TOO_MANY_REQUESTS = 429;

/** The limit of requests to this workload by MeshRateLimits, which are one by what they say together; none or one. */
export function meshRateLimits(t: Translation): readonly TranslatedRateLimit[] {
  const { conf, objects } = inboundConf<MeshRateLimit>(t, MESH_RATE_LIMIT);
  const { disabled = false, requestRate, onRateLimit } = conf.local?.http ?? {};
  const [owner] = objects;
  if (disabled || requestRate === undefined || owner === undefined) return [];
  const { set = [], add = [] } = onRateLimit?.headers ?? {};
  const filter = create(LocalRateLimitSchema, {
    statPrefix: `${owner.metadata.namespace}/${owner.metadata.name}`,
    status: { code: onRateLimit?.status ?? TOO_MANY_REQUESTS },
    tokenBucket: {
      maxTokens: requestRate.num,
      tokensPerFill: requestRate.num,
      fillInterval: durationOfText(requestRate.interval),
    },
    filterEnabled: { defaultValue: fraction(100) },
    filterEnforced: { defaultValue: fraction(100) },
    enableXRatelimitHeaders: XRateLimitHeadersRFCVersion.OFF,
    rateLimitedAsResourceExhausted: true,
    responseHeadersToAdd: [
      ...set.map((header) => headerOption(header, "OVERWRITE_IF_EXISTS_OR_ADD")),
      ...add.map((header) => headerOption(header, "APPEND_IF_EXISTS_OR_ADD")),
    ],
  });
  return [{ name: FILTER_NAME, filter, sources: [] }];
}

function headerOption(
  { name, value }: HeaderField,
  action: keyof typeof HeaderValueOption_HeaderAppendAction,
): MessageInitShape<typeof HeaderValueOptionSchema> {
  // A percent sign begins a command of Envoy's, and two stand for one.
  return {
    header: { key: name, value: value.replaceAll("%", "%%") },
    appendAction: HeaderValueOption_HeaderAppendAction[action],
  };
}
