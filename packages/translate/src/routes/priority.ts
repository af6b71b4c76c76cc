import type { ObjectMeta } from "@tulle/api";
import { RoutingPriority } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { Translation } from "../translation.js";

/** Annotation of an object with HTTP rules: its requests have the circuit breakers of priority HIGH. */
export const PRIORITY_ANNOTATION = "tulle.dev/priority";

/** What an object's annotation says of the priority of its requests; DEFAULT for nothing, or what means nothing, with a warning. */
export function annotatedPriority(
  t: Translation,
  where: string,
  { annotations }: Pick<ObjectMeta, "annotations">,
): RoutingPriority {
  const text = annotations?.[PRIORITY_ANNOTATION];
  if (text === "high") return RoutingPriority.HIGH;
  if (text !== undefined && text !== "default")
    t.warn(
      `${where}: annotation ${PRIORITY_ANNOTATION} must be high or default; ${JSON.stringify(text)} has no effect`,
    );
  return RoutingPriority.DEFAULT;
}
