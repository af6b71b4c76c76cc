import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { RateLimit } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import type { HttpFilter } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { rateLimitFilter } from "../http-connection-manager.js";
import { packed } from "../messages.js";
import { isLocalLimit, type TranslatedRateLimit } from "../rate-limit-parts.js";
import { rateLimitsOf } from "../rate-limits.js";
import type { Translation } from "../translation.js";

/** The limits that a gateway carries out for a host: it takes the host's requests, and sends them on. */
export function hostLimits(t: Translation, host: string): readonly TranslatedRateLimit[] {
  const both = [...rateLimitsOf(t, host, "INBOUND"), ...rateLimitsOf(t, host, "OUTBOUND")];
  return [...new Map(both.map((limit) => [limit.name, limit])).values()];
}

/** The filters of a chain for these hosts. What local ones count, the hosts say. */
export function limitFilters(t: Translation, hosts: Iterable<string>): readonly HttpFilter[] {
  const limits = new Map<string, TranslatedRateLimit>();
  for (const host of hosts) for (const limit of hostLimits(t, host)) limits.set(limit.name, limit);
  return [...limits.values()].map(({ name, filter }) =>
    rateLimitFilter(
      name,
      isLocalLimit(filter) ? create(LocalRateLimitSchema, { statPrefix: filter.statPrefix }) : filter,
    ),
  );
}

/** What a virtual host says of its limits. */
export function limitsOfHost(
  t: Translation,
  host: string,
): { readonly rateLimits: RateLimit[]; readonly typedPerFilterConfig: Record<string, Any> } {
  const limits = hostLimits(t, host);
  return {
    rateLimits: limits.flatMap(({ sources }) => sources),
    typedPerFilterConfig: Object.fromEntries(
      limits.flatMap(({ name, filter }) =>
        isLocalLimit(filter) ? [[name, packed(LocalRateLimitSchema, filter)] as const] : [],
      ),
    ),
  };
}
