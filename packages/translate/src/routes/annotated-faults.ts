import { create } from "@bufbuild/protobuf";
import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import type { MeshObject, VirtualServiceSpec } from "@tulle/api";
import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { FaultRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/common/fault/v3/fault_pb.js";
import { HTTPFaultSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { ConnectionResetSchema } from "@tulle/xds/gen/tulle/fault/v1/connection_reset_pb.js";
import { fraction, packed } from "../messages.js";
import type { Translation } from "../translation.js";
import { FAULT_FILTER } from "./fault.js";

/** Name of the filter that resets connections. */
export const RESET_FILTER = "tulle.connection_reset";

/** Faults that Istio's `fault` has no words for: annotations of a VirtualService, for all of its http rules. */
const RESET = "tulle.dev/fault-reset";
const RESET_AFTER = "tulle.dev/fault-reset-after-bytes";
const BANDWIDTH = "tulle.dev/fault-bandwidth";
const BANDWIDTH_PERCENT = "tulle.dev/fault-bandwidth-percentage";

type VirtualService = MeshObject<VirtualServiceSpec>;

/** Adds the faults of an object's annotations to its routes. */
export function injectAnnotated(t: Translation, object: VirtualService, routes: readonly Route[]): void {
  const percent = (name: string): number | undefined => number(t, object, name, 100);
  const resetPercent = percent(RESET);
  if (resetPercent !== undefined) {
    const after = number(t, object, RESET_AFTER, Number.MAX_SAFE_INTEGER, true);
    const reset = packed(ConnectionResetSchema, {
      percentage: fraction(resetPercent),
      ...(after === undefined ? {} : { afterResponseBytes: BigInt(after) }),
    });
    for (const route of routes) route.typedPerFilterConfig[RESET_FILTER] = reset;
  }
  const kibibytes = number(t, object, BANDWIDTH, 1_000_000_000, true);
  if (kibibytes === undefined) return;
  if (kibibytes === 0) {
    t.warn(`${nameOf(object)}: annotation ${BANDWIDTH} must be at least 1 KiB/s; it is left out`);
    return;
  }
  const limit = create(FaultRateLimitSchema, {
    limitType: { case: "fixedLimit", value: { limitKbps: BigInt(kibibytes) } },
    percentage: fraction(percent(BANDWIDTH_PERCENT) ?? 100),
  });
  for (const route of routes) {
    const own = route.typedPerFilterConfig[FAULT_FILTER];
    route.typedPerFilterConfig[FAULT_FILTER] = withLimit(own, limit);
  }
}

function withLimit(
  own: Any | undefined,
  responseRateLimit: ReturnType<typeof create<typeof FaultRateLimitSchema>>,
): Any {
  const fault = (own && anyUnpack(own, HTTPFaultSchema)) ?? create(HTTPFaultSchema);
  fault.responseRateLimit = responseRateLimit;
  return packed(HTTPFaultSchema, fault);
}

function number(
  t: Translation,
  object: VirtualService,
  name: string,
  most: number,
  whole = false,
): number | undefined {
  const text = object.metadata.annotations?.[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && value <= most && (!whole || Number.isInteger(value))) return value;
  t.warn(
    `${nameOf(object)}: annotation ${name} must be a ${whole ? "whole " : ""}number from 0 to ${most}, not ${JSON.stringify(text)}; it is left out`,
  );
  return undefined;
}

function nameOf({ metadata: { namespace, name } }: VirtualService): string {
  return `VirtualService ${namespace}/${name}`;
}
