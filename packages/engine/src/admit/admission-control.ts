import type { Any } from "@bufbuild/protobuf/wkt";
import { GrpcStatus } from "@tulle/http";
import {
  AdmissionControlSchema,
  type AdmissionControl,
  type AdmissionControl_SuccessCriteria,
} from "@tulle/xds/gen/envoy/extensions/filters/http/admission_control/v3/admission_control_pb.js";
import type { AdmissionStep, EndedExchange } from "../contract.js";
import { saltOf } from "../entropy.js";
import type { SuccessSettings } from "../load/success-window.js";
import { unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { AdmissionControlStep } from "./admission-control-step.js";
import type { FilterKind } from "./filter-kind.js";
import { isEnabled, shareOf } from "./runtime-values.js";

/** `envoy.filters.http.admission_control`: callers hold back a part of their requests to a service that is not well. */
export const admissionControlKind: FilterKind = {
  type: AdmissionControlSchema.typeName,
  routeType: AdmissionControlSchema.typeName,
  compile,
  compileRoute: compile,
};

const WINDOW_SECONDS = 30;
const MAX_WINDOW_SECONDS = 3600;
const THRESHOLD = 95;
const MAX_PROBABILITY = 80;
/** What fewer requests would not change: the caller's own mistakes, and what is not there. */
const GRPC_SUCCESSES: readonly number[] = [
  GrpcStatus.OK,
  GrpcStatus.CANCELLED,
  GrpcStatus.UNKNOWN,
  GrpcStatus.INVALID_ARGUMENT,
  GrpcStatus.NOT_FOUND,
  GrpcStatus.ALREADY_EXISTS,
  GrpcStatus.UNAUTHENTICATED,
  GrpcStatus.FAILED_PRECONDITION,
  GrpcStatus.OUT_OF_RANGE,
  GrpcStatus.PERMISSION_DENIED,
  GrpcStatus.UNIMPLEMENTED,
];

function compile(field: string, any: Any, place: string): AdmissionStep | undefined {
  const config = unpack(field, any, AdmissionControlSchema);
  if (config.evaluationCriteria.case === undefined)
    throw invalid(at(field, "success_criteria"), "must be set");
  const { isSuccess, text } = compileCriteria(at(field, "success_criteria"), config.evaluationCriteria.value);
  const numbers = compileNumbers(field, config);
  if (!isEnabled(config.enabled)) return undefined;
  const key = `${place}|${Object.values(numbers).join("|")}|${text}`;
  return new AdmissionControlStep({ ...numbers, isSuccess }, key, place, saltOf(`${place}/refused`));
}

function compileNumbers(field: string, config: AdmissionControl): Omit<SuccessSettings, "isSuccess"> {
  const windowMs = durationMs(at(field, "sampling_window"), config.samplingWindow);
  const windowSeconds = windowMs === undefined ? WINDOW_SECONDS : Math.max(1, Math.round(windowMs / 1000));
  if (windowSeconds > MAX_WINDOW_SECONDS)
    throw invalid(at(field, "sampling_window"), `must be at most ${MAX_WINDOW_SECONDS} seconds`);
  const threshold = shareOf(at(field, "sr_threshold"), config.srThreshold?.defaultValue?.value, THRESHOLD);
  if (threshold < 0.01) throw invalid(at(field, "sr_threshold"), "must be at least 1");
  const aggression = config.aggression?.defaultValue ?? 1;
  if (Number.isNaN(aggression)) throw invalid(at(field, "aggression"), "must be a number");
  return {
    windowSeconds,
    threshold,
    aggression: Math.max(1, aggression),
    minRequestsPerSecond: config.rpsThreshold?.defaultValue ?? 0,
    maxProbability: shareOf(
      at(field, "max_rejection_probability"),
      config.maxRejectionProbability?.defaultValue?.value,
      MAX_PROBABILITY,
    ),
  };
}

interface Criteria {
  readonly isSuccess: (ended: EndedExchange) => boolean;
  /** Tells other criteria from these. */
  readonly text: string;
}

function compileCriteria(
  field: string,
  { httpCriteria, grpcCriteria }: AdmissionControl_SuccessCriteria,
): Criteria {
  const ranges = httpCriteria?.httpSuccessStatus.map(({ start, end }, index) => {
    if (start < 100 || end > 600 || start >= end)
      throw invalid(at(field, `http_criteria.http_success_status[${index}]`), "must lie within [100, 600)");
    return { start, end };
  }) ?? [{ start: 100, end: 500 }];
  if (ranges.length === 0)
    throw invalid(at(field, "http_criteria.http_success_status"), "must have at least one range");
  const codes = grpcCriteria?.grpcSuccessStatus ?? GRPC_SUCCESSES;
  if (codes.length === 0)
    throw invalid(at(field, "grpc_criteria.grpc_success_status"), "must have at least one status");
  if (codes.some((code) => code > 16))
    throw invalid(at(field, "grpc_criteria.grpc_success_status"), "must be between 0 and 16");
  return {
    text: `${ranges.map(({ start, end }) => `${start}-${end}`).join(",")}|${codes.join(",")}`,
    isSuccess: ({ status, grpc, grpcStatus, cut }) => {
      if (cut) return false;
      if (grpc) return codes.includes(grpcStatus);
      for (const { start, end } of ranges) if (status >= start && status < end) return true;
      return false;
    },
  };
}
