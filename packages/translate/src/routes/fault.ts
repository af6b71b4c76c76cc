import type { Any } from "@bufbuild/protobuf/wkt";
import { GRPC_STATUS_CODES, type HttpFaultInjection } from "@tulle/api";
import { FaultDelaySchema } from "@tulle/xds/gen/envoy/extensions/filters/common/fault/v3/fault_pb.js";
import {
  FaultAbortSchema,
  HTTPFaultSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { create } from "@bufbuild/protobuf";
import { durationOfText } from "../duration.js";
import { fraction, packed } from "../messages.js";
import type { RuntimeKeys } from "./runtime-keys.js";

/** Name of the filter that route-level faults configure. */
export const FAULT_FILTER = "envoy.filters.http.fault";

/** Delays and aborts of a rule, as configuration of the fault filter on its routes. */
export function faultConfig(fault: HttpFaultInjection, keys: Pick<RuntimeKeys, "delay" | "abort">): Any {
  const message = create(HTTPFaultSchema, {
    delayPercentRuntime: keys.delay,
    abortPercentRuntime: keys.abort,
  });
  if (fault.delay !== undefined) {
    message.delay = create(FaultDelaySchema, {
      faultDelaySecifier: { case: "fixedDelay", value: durationOfText(fault.delay.fixedDelay) },
      percentage: fraction(fault.delay.percentage?.value),
    });
  }
  if (fault.abort !== undefined) {
    const { httpStatus, grpcStatus, percentage } = fault.abort;
    message.abort = create(FaultAbortSchema, {
      errorType:
        grpcStatus === undefined
          ? { case: "httpStatus", value: httpStatus ?? 503 }
          : { case: "grpcStatus", value: grpcCode(grpcStatus) },
      percentage: fraction(percentage?.value),
    });
  }
  return packed(HTTPFaultSchema, message);
}

/** A status by name or number; what is neither is UNKNOWN. */
function grpcCode(status: string): number {
  if (/^\d{1,2}$/.test(status)) return Number(status);
  return GRPC_STATUS_CODES.get(status.toUpperCase().replace("CANCELED", "CANCELLED")) ?? 2;
}
