import { pathNormalization } from "./http-connection-manager.js";
import type { TrafficPolicy } from "./traffic-policies.js";
import type { Translation } from "./translation.js";

/**
 * How a chain brings paths into one form that takes requests under several policies: as they say, or as the mesh where they
 * are not of one mind. `disagreement`: the warning then.
 */
export function commonPaths(
  t: Translation,
  policies: readonly TrafficPolicy[],
  disagreement: string,
): Partial<ReturnType<typeof pathNormalization>> {
  const [mode, ...others] = new Set(policies.map((policy) => policy.pathNormalization));
  if (others.length === 0) return mode === undefined ? {} : pathNormalization(mode);
  t.warn(disagreement);
  return {};
}
