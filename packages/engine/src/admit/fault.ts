import type { Any } from "@bufbuild/protobuf/wkt";
import {
  HTTPFaultSchema,
  type FaultAbort,
  type HTTPFault,
} from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import type {
  FaultDelay,
  FaultRateLimit,
} from "@tulle/xds/gen/envoy/extensions/filters/common/fault/v3/fault_pb.js";
import { saltOf } from "../entropy.js";
import type { FractionalPercent } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import type { AdmissionStep } from "../contract.js";
import { compileShare, type Share } from "../route/fraction.js";
import { compileHeaderTests } from "../route/header-test.js";
import { unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { FaultStep, type FaultSettings, type Injected } from "./fault-step.js";
import type { FilterKind } from "./filter-kind.js";

/** `envoy.filters.http.fault`: delays, aborts, slow responses. */
export const faultKind: FilterKind = {
  type: HTTPFaultSchema.typeName,
  routeType: HTTPFaultSchema.typeName,
  compile: compileFault,
  compileRoute: compileFault,
};

const BYTES_PER_KIBIBYTE = 1024;

function compileFault(field: string, any: Any, place: string): AdmissionStep | undefined {
  const fault = unpack(field, any, HTTPFaultSchema);
  const settings: FaultSettings = {
    delay: compileDelay(at(field, "delay"), fault.delay, `${place}/delay`, fault.delayPercentRuntime),
    abort: compileAbort(at(field, "abort"), fault.abort, `${place}/abort`, fault.abortPercentRuntime),
    rate: compileRate(
      at(field, "response_rate_limit"),
      fault.responseRateLimit,
      `${place}/rate`,
      fault.responseRateLimitPercentRuntime,
    ),
    cluster: fault.upstreamCluster,
    headers: compileHeaderTests(at(field, "headers"), fault.headers),
    nodes: fault.downstreamNodes,
    maxActive: fault.maxActiveFaults ?? Number.POSITIVE_INFINITY,
  };
  refuseRuntimeKeys(field, fault);
  if (settings.delay === undefined && settings.abort === undefined && settings.rate === undefined)
    return undefined;
  return new FaultStep(settings);
}

/** Runtime keys hold shares here, no other numbers. */
function refuseRuntimeKeys(field: string, fault: HTTPFault): void {
  const keys: readonly (readonly [string, string])[] = [
    ["delay_duration_runtime", fault.delayDurationRuntime],
    ["abort_http_status_runtime", fault.abortHttpStatusRuntime],
    ["abort_grpc_status_runtime", fault.abortGrpcStatusRuntime],
    ["max_active_faults_runtime", fault.maxActiveFaultsRuntime],
  ];
  for (const [name, key] of keys) {
    if (key !== "")
      throw invalid(
        at(field, name),
        "is not supported: runtime keys are for shares of requests; set the value itself",
      );
  }
}

/** Without a percentage nothing is injected, as in Envoy. */
function shareOf(
  field: string,
  fraction: FractionalPercent | undefined,
  place: string,
  key: string,
): Share | undefined {
  if (fraction === undefined || (fraction.numerator === 0 && key === "")) return undefined;
  return compileShare(at(field, "percentage"), fraction, saltOf(place), key);
}

function compileDelay(
  field: string,
  delay: FaultDelay | undefined,
  place: string,
  key: string,
): Injected<number> | undefined {
  const share = shareOf(field, delay?.percentage, place, key);
  if (delay === undefined || share === undefined) return undefined;
  const specifier = delay.faultDelaySecifier;
  if (specifier.case === "headerDelay") return { share, value: undefined };
  const ms = durationMs(at(field, "fixed_delay"), specifier.value);
  if (ms === undefined || ms === 0) throw invalid(at(field, "fixed_delay"), "must be above zero");
  return { share, value: ms };
}

function compileAbort(
  field: string,
  abort: FaultAbort | undefined,
  place: string,
  key: string,
): FaultSettings["abort"] | undefined {
  const share = shareOf(field, abort?.percentage, place, key);
  if (abort === undefined || share === undefined) return undefined;
  const type = abort.errorType;
  switch (type.case) {
    case "httpStatus":
      if (type.value < 200 || type.value > 599)
        throw invalid(at(field, "http_status"), "must be between 200 and 599");
      return { share, value: { status: type.value, grpcStatus: undefined } };
    case "grpcStatus":
      if (type.value > 16) throw invalid(at(field, "grpc_status"), "must be between 0 and 16");
      return { share, value: { status: undefined, grpcStatus: type.value } };
    case "headerAbort":
      return { share, value: undefined };
    case undefined:
      throw invalid(field, "must set one of http_status, grpc_status, header_abort");
  }
}

function compileRate(
  field: string,
  rate: FaultRateLimit | undefined,
  place: string,
  key: string,
): Injected<number> | undefined {
  const share = shareOf(field, rate?.percentage, place, key);
  if (rate === undefined || share === undefined) return undefined;
  const limit = rate.limitType;
  if (limit.case === "headerLimit") return { share, value: undefined };
  if (limit.case === undefined) throw invalid(field, "must set one of fixed_limit, header_limit");
  const kibibytes = Number(limit.value.limitKbps);
  if (kibibytes < 1) throw invalid(at(field, "fixed_limit.limit_kbps"), "must be at least 1");
  return { share, value: kibibytes * BYTES_PER_KIBIBYTE };
}
