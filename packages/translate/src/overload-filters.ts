import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { GRPC_STATUS_CODES, type AdaptiveConcurrency, type AdmissionControl } from "@tulle/api";
import type { VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  AdaptiveConcurrencySchema,
  type AdaptiveConcurrency as AdaptiveConcurrencyFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.js";
import {
  AdmissionControlSchema,
  type AdmissionControl as AdmissionControlFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/http/admission_control/v3/admission_control_pb.js";
import {
  HttpFilterSchema,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { durationOfText } from "./duration.js";
import { packed } from "./messages.js";
import type { TrafficPolicy } from "./traffic-policies.js";

/** Names of the filters in their chains; virtual hosts configure them by these. */
const ADMISSION_CONTROL_FILTER = "envoy.filters.http.admission_control";
export const ADAPTIVE_CONCURRENCY_FILTER = "envoy.filters.http.adaptive_concurrency";

const OFF = { defaultValue: false, runtimeKey: "" };

/** The filter of a chain that does nothing but where a virtual host says more. */
export function admissionControlFilter(): HttpFilter {
  const config = admissionControlConfig({});
  config.enabled = create(AdmissionControlSchema, { enabled: OFF }).enabled;
  return create(HttpFilterSchema, {
    name: ADMISSION_CONTROL_FILTER,
    configType: { case: "typedConfig", value: packed(AdmissionControlSchema, config) },
  });
}

/** The same of adaptive concurrency. */
export function adaptiveConcurrencyFilter(): HttpFilter {
  const config = adaptiveConcurrencyConfig({});
  config.enabled = create(AdaptiveConcurrencySchema, { enabled: OFF }).enabled;
  return create(HttpFilterSchema, {
    name: ADAPTIVE_CONCURRENCY_FILTER,
    configType: { case: "typedConfig", value: packed(AdaptiveConcurrencySchema, config) },
  });
}

/** The filters that virtual hosts under some policies need. */
export function overloadFilters(policies: readonly TrafficPolicy[]): readonly HttpFilter[] {
  return [
    ...(policies.some(({ adaptiveConcurrency }) => adaptiveConcurrency) ? [adaptiveConcurrencyFilter()] : []),
    ...(policies.some(({ admissionControl }) => admissionControl) ? [admissionControlFilter()] : []),
  ];
}

/** Holds back requests of a virtual host when too many of them fail. */
export function controlAdmission(host: VirtualHost, settings: AdmissionControl | undefined): VirtualHost {
  if (settings === undefined) return host;
  const config = admissionControlConfig(settings);
  host.typedPerFilterConfig[ADMISSION_CONTROL_FILTER] = packed(AdmissionControlSchema, config);
  return host;
}

/** Limits a service's virtual host by what its application turns out to take. */
export function limitConcurrency(host: VirtualHost, settings: AdaptiveConcurrency | undefined): VirtualHost {
  if (settings === undefined) return host;
  const config = adaptiveConcurrencyConfig(settings);
  host.typedPerFilterConfig[ADAPTIVE_CONCURRENCY_FILTER] = packed(AdaptiveConcurrencySchema, config);
  return host;
}

export function adaptiveConcurrencyConfig(settings: AdaptiveConcurrency): AdaptiveConcurrencyFilter {
  const percent = (value: number | undefined) => (value === undefined ? undefined : { value });
  return create(AdaptiveConcurrencySchema, {
    concurrencyControllerConfig: {
      case: "gradientControllerConfig",
      value: {
        sampleAggregatePercentile: percent(settings.percentile),
        concurrencyLimitParams: {
          maxConcurrencyLimit: settings.maxConcurrency,
          concurrencyUpdateInterval: durationOfText(settings.updateInterval ?? "100ms"),
        },
        minRttCalcParams: {
          interval: durationOfText(settings.measureInterval ?? "60s"),
          requestCount: settings.measureRequests,
          jitter: percent(settings.measureJitterPercent),
          minConcurrency: settings.minConcurrency,
          buffer: percent(settings.bufferPercent),
        },
      },
    },
    ...(settings.status !== undefined && { concurrencyLimitExceededStatus: { code: settings.status } }),
  });
}

function admissionControlConfig(settings: AdmissionControl): AdmissionControlFilter {
  const runtime = <Value>(defaultValue: Value | undefined) =>
    defaultValue === undefined ? undefined : { defaultValue, runtimeKey: "" };
  const percent = (value: number | undefined) => runtime(value === undefined ? undefined : { value });
  return create(AdmissionControlSchema, {
    evaluationCriteria: { case: "successCriteria", value: criteria(settings) },
    samplingWindow: settings.window === undefined ? undefined : durationOfText(settings.window),
    aggression: runtime(settings.aggression),
    srThreshold: percent(settings.successRate),
    rpsThreshold: runtime(settings.minRequestsPerSecond),
    maxRejectionProbability: percent(settings.maxRejectionPercent),
  });
}

type Criteria = MessageInitShape<typeof AdmissionControlSchema>["evaluationCriteria"];
type SuccessCriteria = Extract<NonNullable<Criteria>, { case: "successCriteria" }>["value"];

function criteria({ httpSuccesses, grpcSuccesses }: AdmissionControl): SuccessCriteria {
  return {
    ...(httpSuccesses !== undefined && { httpCriteria: { httpSuccessStatus: httpSuccesses.map(range) } }),
    ...(grpcSuccesses !== undefined && {
      grpcCriteria: { grpcSuccessStatus: grpcSuccesses.map((name) => GRPC_STATUS_CODES.get(name) ?? 0) },
    }),
  };
}

/** `200` or `"200-299"` as `[start, end)`. */
function range(status: number | string): { readonly start: number; readonly end: number } {
  const [first = "", last = first] = String(status).split("-");
  return { start: Number(first), end: Number(last) + 1 };
}
