import type { MeshObject, RateLimitRule, RateLimitSpec, StringMatch } from "@tulle/api";
import type { LimitMatch } from "../rate-limit-parts.js";
import type { Translation } from "../translation.js";
import { defaultsOf, serviceOfHost } from "./entries.js";

/** A limit that leaves requests to others. */
interface InstanceLimit extends Omit<RateLimitRule, "match"> {
  readonly match: LimitMatch;
}

/**
 * The limits of each instance by the `service-defaults` of a service (full host), as a RateLimit says them: of its routes
 * the first that matches counts a request, what none matches the service's own. Undefined when there are none.
 */
export function consulRateLimit(t: Translation, host: string): MeshObject<RateLimitSpec> | undefined {
  const id = serviceOfHost(t, host);
  const object = id && defaultsOf(t, id);
  const level = object?.spec.rateLimits?.instanceLevel;
  if (object === undefined || level === undefined) return undefined;
  const before: StringMatch[] = [];
  const limits: InstanceLimit[] = [];
  const add = (rate: { requestsPerSecond?: number; requestsMaxBurst?: number }, uri?: StringMatch): void => {
    const { requestsPerSecond: requests = 0, requestsMaxBurst: burst = 0 } = rate;
    if (requests === 0) return;
    const match = { ...(uri !== undefined && { uri }), exceptUris: [...before] };
    limits.push({ match, requests, interval: "1s", ...(burst > 0 && { burst }) });
  };
  for (const { pathExact, pathPrefix, pathRegex, ...rate } of level.routes ?? []) {
    const uri: StringMatch =
      pathExact !== undefined
        ? { exact: pathExact }
        : pathPrefix !== undefined
          ? { prefix: pathPrefix }
          : { regex: pathRegex ?? ".*" };
    add(rate, uri);
    before.push(uri);
  }
  add(level);
  if (limits.length === 0) return undefined;
  t.own(object);
  // A RateLimit may have the same name.
  const metadata = { ...object.metadata, name: `${object.metadata.name}.service-defaults` };
  return { ...object, metadata, spec: { host, limits } };
}
