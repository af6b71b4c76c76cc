import type { Any } from "@bufbuild/protobuf/wkt";
import {
  AdaptiveConcurrencySchema,
  type GradientControllerConfig,
} from "@tulle/xds/gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.js";
import type { AdmissionStep } from "../contract.js";
import type { GradientSettings } from "../load/gradient-controller.js";
import { unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { AdaptiveConcurrencyStep } from "./adaptive-concurrency-step.js";
import type { FilterKind } from "./filter-kind.js";
import { isEnabled, refusalStatus, shareOf } from "./runtime-values.js";

/**
 * `envoy.filters.http.adaptive_concurrency`. A chain's limit is for all of its requests, as in Envoy; one that a route or
 * virtual host names is for the cluster that the requests go to, whichever chain they come by.
 */
export const adaptiveConcurrencyKind: FilterKind = {
  type: AdaptiveConcurrencySchema.typeName,
  routeType: AdaptiveConcurrencySchema.typeName,
  compile: (field, any, place) => compile(field, any, place),
  compileRoute: (field, any) => compile(field, any, undefined),
};

const PERCENTILE = 50;
const MAX_LIMIT = 1000;
const MIN_RTT_REQUESTS = 50;
const MIN_LIMIT = 3;
const JITTER = 15;
const BUFFER = 25;

function compile(field: string, any: Any, place: string | undefined): AdmissionStep | undefined {
  const message = unpack(field, any, AdaptiveConcurrencySchema);
  const { concurrencyControllerConfig: config, enabled, concurrencyLimitExceededStatus } = message;
  if (config.case === undefined) throw invalid(at(field, "gradient_controller_config"), "must be set");
  const settings = compileGradient(at(field, "gradient_controller_config"), config.value);
  if (!isEnabled(enabled)) return undefined;
  return new AdaptiveConcurrencyStep(settings, refusalStatus(concurrencyLimitExceededStatus), place);
}

function compileGradient(field: string, config: GradientControllerConfig): GradientSettings {
  const limit = config.concurrencyLimitParams;
  const rtt = config.minRttCalcParams;
  if (limit === undefined) throw invalid(at(field, "concurrency_limit_params"), "must be set");
  if (rtt === undefined) throw invalid(at(field, "min_rtt_calc_params"), "must be set");
  const limitField = at(field, "concurrency_limit_params");
  const rttField = at(field, "min_rtt_calc_params");
  const settings: GradientSettings = {
    percentile: shareOf(
      at(field, "sample_aggregate_percentile"),
      config.sampleAggregatePercentile?.value,
      PERCENTILE,
    ),
    updateIntervalMs: positiveMs(
      at(limitField, "concurrency_update_interval"),
      limit.concurrencyUpdateInterval,
    ),
    maxLimit: positive(at(limitField, "max_concurrency_limit"), limit.maxConcurrencyLimit ?? MAX_LIMIT),
    minRttIntervalMs: positiveMs(at(rttField, "interval"), rtt.interval),
    jitter: shareOf(at(rttField, "jitter"), rtt.jitter?.value, JITTER),
    minRttRequests: positive(at(rttField, "request_count"), rtt.requestCount ?? MIN_RTT_REQUESTS),
    minLimit: positive(at(rttField, "min_concurrency"), rtt.minConcurrency ?? MIN_LIMIT),
    buffer: shareOf(at(rttField, "buffer"), rtt.buffer?.value, BUFFER),
  };
  if (settings.minLimit > settings.maxLimit)
    throw invalid(at(rttField, "min_concurrency"), "must not be above max_concurrency_limit");
  return settings;
}

function positive(field: string, value: number): number {
  if (value < 1) throw invalid(field, "must be at least 1");
  return value;
}

function positiveMs(field: string, duration: Parameters<typeof durationMs>[1]): number {
  const ms = durationMs(field, duration) ?? 0;
  if (ms < 1) throw invalid(field, "must be at least 1 ms");
  return ms;
}
