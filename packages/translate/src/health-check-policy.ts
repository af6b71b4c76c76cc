import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { getTextEncoding } from "@bufbuild/protobuf/wire";
import type { HealthCheckSpec, HttpHealthCheck, PassiveHealthCheck } from "@tulle/api";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  OutlierDetectionSchema,
  type OutlierDetection,
} from "@tulle/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  RequestMethod,
} from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { HealthCheckSchema, type HealthCheck } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { CodecClientType } from "@tulle/xds/gen/envoy/type/v3/http_pb.js";
import { HealthCheckEventFileSinkSchema } from "@tulle/xds/gen/envoy/extensions/health_check/event_sinks/file/v3/file_pb.js";
import { RedisSchema } from "@tulle/xds/gen/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
import { durationOfText } from "./duration.js";
import { packed } from "./messages.js";

/** What a HealthCheck says of times and thresholds when it says nothing. */
const INTERVAL = "5s";
const TIMEOUT = "1s";
const UNHEALTHY_THRESHOLD = 2;
const HEALTHY_THRESHOLD = 1;
const MAX_EJECTION_PERCENT = 50;

/** What a HealthCheck says, in its cluster. `http2`: what the service speaks in plaintext. */
export function applyHealthCheck(cluster: Cluster, spec: HealthCheckSpec, http2: boolean): void {
  const probe = probeOf(spec, http2);
  if (probe !== undefined) cluster.healthChecks = [activeCheck(spec, probe)];
  if (spec.passive !== undefined)
    cluster.outlierDetection = passiveCheck(cluster.outlierDetection, spec.passive);
}

function activeCheck(spec: HealthCheckSpec, healthChecker: HealthCheck["healthChecker"]): HealthCheck {
  const time = (name: keyof HealthCheck, text: string | undefined) =>
    text === undefined ? {} : { [name]: durationOfText(text) };
  return create(HealthCheckSchema, {
    interval: durationOfText(spec.interval ?? INTERVAL),
    timeout: durationOfText(spec.timeout ?? TIMEOUT),
    unhealthyThreshold: spec.unhealthyThreshold ?? UNHEALTHY_THRESHOLD,
    healthyThreshold: spec.healthyThreshold ?? HEALTHY_THRESHOLD,
    ...time("initialJitter", spec.initialJitter),
    ...time("intervalJitter", spec.intervalJitter),
    intervalJitterPercent: Math.round(spec.intervalJitterPercent ?? 0),
    ...time("noTrafficInterval", spec.noTrafficInterval),
    ...time("noTrafficHealthyInterval", spec.noTrafficHealthyInterval),
    ...time("unhealthyInterval", spec.unhealthyInterval),
    ...time("unhealthyEdgeInterval", spec.unhealthyEdgeInterval),
    ...time("healthyEdgeInterval", spec.healthyEdgeInterval),
    ...(spec.checkPort !== undefined && { altPort: spec.checkPort }),
    ...(spec.reuseConnection !== undefined && { reuseConnection: spec.reuseConnection }),
    alwaysLogHealthCheckFailures: spec.alwaysLogFailures ?? false,
    alwaysLogHealthCheckSuccess: spec.alwaysLogSuccesses ?? false,
    eventLogger: [
      {
        name: "envoy.health_check.event_sink.file",
        typedConfig: packed(HealthCheckEventFileSinkSchema, { eventLogPath: "/dev/stdout" }),
      },
    ],
    healthChecker,
  });
}

type Checker = MessageInitShape<typeof HealthCheckSchema>["healthChecker"];

function probeOf(
  { http, tcp, grpc, redis }: HealthCheckSpec,
  http2: boolean,
): HealthCheck["healthChecker"] | undefined {
  const made = (healthChecker: Checker) =>
    create(HealthCheckSchema, { healthChecker: healthChecker! }).healthChecker;
  if (http !== undefined) return made({ case: "httpHealthCheck", value: httpCheck(http, http2) });
  if (tcp !== undefined) {
    return made({
      case: "tcpHealthCheck",
      value: {
        ...(tcp.send !== undefined && { send: payload(tcp.send) }),
        receive: (tcp.receive ?? []).map(payload),
      },
    });
  }
  if (redis !== undefined) {
    const typedConfig = packed(RedisSchema, { key: redis.key ?? "" });
    return made({
      case: "customHealthCheck",
      value: {
        name: "envoy.health_checkers.redis",
        configType: { case: "typedConfig", value: typedConfig },
      },
    });
  }
  if (grpc === undefined) return undefined;
  return made({
    case: "grpcHealthCheck",
    value: {
      serviceName: grpc.service ?? "",
      authority: grpc.authority ?? "",
      initialMetadata: headers(grpc.metadata),
    },
  });
}

function httpCheck(http: HttpHealthCheck, http2: boolean) {
  const atOnce = (http.failAtOnceStatuses ?? []).map(range);
  return {
    path: http.path,
    host: http.host ?? "",
    method: RequestMethod[(http.method ?? "GET") as keyof typeof RequestMethod],
    expectedStatuses: (http.expectedStatuses ?? []).map(range),
    // In Envoy a status that is not named here makes unhealthy at once, whatever the threshold says.
    retriableStatuses: allBut(atOnce),
    requestHeadersToAdd: headers(http.headers?.set),
    requestHeadersToRemove: [...(http.headers?.remove ?? [])],
    ...(http.body !== undefined && { send: payload(http.body) }),
    receive: (http.receive ?? []).map(payload),
    codecClientType: http2 ? CodecClientType.HTTP2 : CodecClientType.HTTP1,
  };
}

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** `200` or `"200-299"` as `[start, end)`. */
function range(status: number | string): Range {
  const [first = "", last = first] = String(status).split("-");
  return { start: BigInt(first), end: BigInt(last) + 1n };
}

/** The statuses that are in none of the ranges, as ranges. */
function allBut(ranges: readonly Range[]): Range[] {
  const rest: Range[] = [];
  let from = 100n;
  for (const { start, end } of [...ranges].sort((left, right) => Number(left.start - right.start))) {
    if (start > from) rest.push({ start: from, end: start });
    if (end > from) from = end;
  }
  if (from < 600n) rest.push({ start: from, end: 600n });
  return rest;
}

function headers(set: Readonly<Record<string, string>> = {}) {
  return Object.entries(set).map(([key, value]) => ({
    header: { key, value: value.replaceAll("%", "%%") },
    appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
  }));
}

function payload(text: string) {
  return { payload: { case: "binary" as const, value: getTextEncoding().encodeUtf8(text) } };
}

/** What a DestinationRule says, and over it what the HealthCheck does; what neither names is off. */
export function passiveCheck(
  ruled: OutlierDetection | undefined,
  passive: PassiveHealthCheck,
): OutlierDetection {
  const detection =
    ruled ??
    create(OutlierDetectionSchema, {
      enforcingConsecutive5xx: 0,
      enforcingSuccessRate: 0,
      maxEjectionPercent: MAX_EJECTION_PERCENT,
    });
  const { interval, baseEjectionTime, maxEjectionTime, maxEjectionTimeJitter } = passive;
  const { successRate, failurePercentage } = passive;
  const splits = passive.consecutiveLocalOriginFailures !== undefined;
  const said: MessageInitShape<typeof OutlierDetectionSchema> = {
    ...(interval !== undefined && { interval: durationOfText(interval) }),
    ...(baseEjectionTime !== undefined && { baseEjectionTime: durationOfText(baseEjectionTime) }),
    ...(maxEjectionTime !== undefined && { maxEjectionTime: durationOfText(maxEjectionTime) }),
    ...(maxEjectionTimeJitter !== undefined && {
      maxEjectionTimeJitter: durationOfText(maxEjectionTimeJitter),
    }),
    ...(passive.maxEjectionPercent !== undefined && { maxEjectionPercent: passive.maxEjectionPercent }),
    ...(passive.alwaysEjectOne !== undefined && { alwaysEjectOneHost: passive.alwaysEjectOne }),
    ...(passive.healthCheckUnejects !== undefined && {
      successfulActiveHealthCheckUnejectHost: passive.healthCheckUnejects,
    }),
    ...(passive.consecutive5xxErrors !== undefined && {
      consecutive5xx: passive.consecutive5xxErrors,
      enforcingConsecutive5xx: 100,
    }),
    ...(passive.consecutiveGatewayErrors !== undefined && {
      consecutiveGatewayFailure: passive.consecutiveGatewayErrors,
      enforcingConsecutiveGatewayFailure: 100,
    }),
    ...(splits && {
      splitExternalLocalOriginErrors: true,
      consecutiveLocalOriginFailure: passive.consecutiveLocalOriginFailures,
      enforcingConsecutiveLocalOriginFailure: 100,
      enforcingLocalOriginSuccessRate: 0,
    }),
    ...(successRate && {
      successRateMinimumHosts: successRate.minimumHosts ?? 5,
      successRateRequestVolume: successRate.requestVolume ?? 100,
      successRateStdevFactor: Math.round((successRate.stdevFactor ?? 1.9) * 1000),
      enforcingSuccessRate: successRate.enforcing ?? 100,
      ...(splits && { enforcingLocalOriginSuccessRate: successRate.enforcing ?? 100 }),
    }),
    ...(failurePercentage && {
      failurePercentageThreshold: failurePercentage.threshold,
      failurePercentageMinimumHosts: failurePercentage.minimumHosts ?? 1,
      failurePercentageRequestVolume: failurePercentage.requestVolume ?? 20,
      enforcingFailurePercentage: failurePercentage.enforcing ?? 100,
      ...(splits && { enforcingFailurePercentageLocalOrigin: failurePercentage.enforcing ?? 100 }),
    }),
  };
  return Object.assign(detection, said);
}
