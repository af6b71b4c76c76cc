import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { RequestMethod } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type {
  HealthCheck,
  HealthCheck_CustomHealthCheck,
  HealthCheck_GrpcHealthCheck,
  HealthCheck_HttpHealthCheck,
  HealthCheck_Payload,
  HealthCheck_TcpHealthCheck,
} from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { HealthCheckEventFileSinkSchema } from "@tulle/xds/gen/envoy/extensions/health_check/event_sinks/file/v3/file_pb.js";
import { RedisSchema } from "@tulle/xds/gen/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
import { CodecClientType } from "@tulle/xds/gen/envoy/type/v3/http_pb.js";
import type { HeaderMutation } from "../contract.js";
import { compileLiteralMutations } from "../route/header-mutations.js";
import { holds, unpack } from "./any.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";

/** Statuses `[start, end)`. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

export interface HttpProbe {
  readonly kind: "http";
  readonly method: string;
  readonly path: string;
  /** Value of the Host header; "" = the cluster's name. */
  readonly host: string;
  readonly headers: readonly HeaderMutation[];
  readonly body: Uint8Array;
  readonly http2: boolean;
  readonly expected: readonly StatusRange[];
  /** Other statuses that count as one failure of several, and do not make unhealthy at once. */
  readonly retriable: readonly StatusRange[];
  /** Must occur in the answer's body, in this order. */
  readonly receive: readonly Uint8Array[];
  /** So much of the body is looked at; 0 = all of it. */
  readonly responseBytes: number;
}

export interface TcpProbe {
  readonly kind: "tcp";
  /** Empty: nothing is sent, and with nothing to receive the connection is all that is asked for. */
  readonly send: Uint8Array;
  readonly receive: readonly Uint8Array[];
}

/** Redis: PING, or whether a key is absent. */
export interface RedisProbe {
  readonly kind: "redis";
  /** An endpoint that has it is not well; "" = it is only asked whether it answers. */
  readonly key: string;
}

/** `grpc.health.v1.Health/Check`. */
export interface GrpcProbe {
  readonly kind: "grpc";
  /** "" = the server as a whole. */
  readonly service: string;
  /** "" = the cluster's name. */
  readonly authority: string;
  readonly metadata: readonly HeaderMutation[];
}

/** An active health check of a cluster's endpoints (Envoy's `health_checks`). */
export interface HealthCheckSettings {
  /** The same for checks that are the same. */
  readonly key: string;
  readonly probe: HttpProbe | TcpProbe | GrpcProbe | RedisProbe;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly initialJitterMs: number;
  readonly intervalJitterMs: number;
  readonly intervalJitterPercent: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  /** Port that is asked instead of the endpoint's own; 0 = none. */
  readonly altPort: number;
  readonly reuseConnection: boolean;
  readonly noTrafficMs: number;
  readonly noTrafficHealthyMs: number;
  readonly unhealthyMs: number;
  readonly unhealthyEdgeMs: number;
  readonly healthyEdgeMs: number;
  readonly logsFailures: boolean;
  readonly logsSuccesses: boolean;
  /** What checks find out is written to the proxy's log of health events (`event_logger`). */
  readonly logsEvents: boolean;
}

const OK: readonly StatusRange[] = [{ start: 200, end: 201 }];
const NO_TRAFFIC_MS = 60_000;
const RESPONSE_BYTES = 1024;

/** Compiles `health_checks`; undefined when there is none. */
export function compileHealthCheck(cluster: Cluster): HealthCheckSettings | undefined {
  const [check, second] = cluster.healthChecks;
  if (check === undefined) return undefined;
  if (second !== undefined) throw invalid("health_checks", "must have one entry at most");
  const field = "health_checks[0]";
  refuseUnsupported(field, check);
  const time = (name: string, value: HealthCheck["timeout"], fallbackMs: number): number =>
    durationMs(at(field, name), value) ?? fallbackMs;
  const intervalMs = positive(at(field, "interval"), time("interval", check.interval, 0));
  const unhealthyMs = time("unhealthy_interval", check.unhealthyInterval, intervalMs);
  const noTrafficMs = time("no_traffic_interval", check.noTrafficInterval, NO_TRAFFIC_MS);
  const settings = {
    probe: compileProbe(field, check),
    timeoutMs: positive(at(field, "timeout"), time("timeout", check.timeout, 0)),
    intervalMs,
    initialJitterMs: time("initial_jitter", check.initialJitter, 0),
    intervalJitterMs: time("interval_jitter", check.intervalJitter, 0),
    intervalJitterPercent: check.intervalJitterPercent,
    unhealthyThreshold: Math.max(check.unhealthyThreshold ?? 1, 1),
    healthyThreshold: Math.max(check.healthyThreshold ?? 1, 1),
    altPort: check.altPort ?? 0,
    reuseConnection: check.reuseConnection ?? true,
    noTrafficMs: positive(at(field, "no_traffic_interval"), noTrafficMs),
    noTrafficHealthyMs: time("no_traffic_healthy_interval", check.noTrafficHealthyInterval, noTrafficMs),
    unhealthyMs: positive(at(field, "unhealthy_interval"), unhealthyMs),
    unhealthyEdgeMs: time("unhealthy_edge_interval", check.unhealthyEdgeInterval, unhealthyMs),
    healthyEdgeMs: time("healthy_edge_interval", check.healthyEdgeInterval, intervalMs),
    logsFailures: check.alwaysLogHealthCheckFailures,
    logsSuccesses: check.alwaysLogHealthCheckSuccess,
    logsEvents: wantsEvents(field, check),
  };
  return { key: JSON.stringify(settings, withBytes), ...settings };
}

/** Events go to the file that the proxy was started with, as access logs do: where it is, the workload's owner says. */
function wantsEvents(field: string, { eventLogger, eventLogPath }: HealthCheck): boolean {
  eventLogger.forEach(({ name, typedConfig }, index) => {
    if (typedConfig === undefined || !holds(typedConfig, HealthCheckEventFileSinkSchema))
      throw invalid(
        at(field, `event_logger[${index}]`),
        `${JSON.stringify(name)} is not supported: use envoy.health_check.event_sink.file`,
      );
  });
  return eventLogger.length > 0 || eventLogPath !== "";
}

function withBytes(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? [...value].join() : value;
}

function positive(field: string, ms: number): number {
  if (ms === 0) throw invalid(field, "must be set, and above zero");
  return ms;
}

/** What would change the meaning of a check, and is not carried out. */
function refuseUnsupported(field: string, check: HealthCheck): void {
  const refused: readonly (readonly [string, boolean])[] = [
    ["tls_options", check.tlsOptions !== undefined],
    ["transport_socket_match_criteria", check.transportSocketMatchCriteria !== undefined],
    ["event_service", check.eventService !== undefined],
  ];
  for (const [name, present] of refused) if (present) throw invalid(at(field, name), "is not supported");
  if ((check.altPort ?? 0) > 65_535) throw invalid(at(field, "alt_port"), "must be at most 65535");
}

function compileProbe(field: string, { healthChecker: checker }: HealthCheck): HealthCheckSettings["probe"] {
  switch (checker.case) {
    case "httpHealthCheck":
      return compileHttp(at(field, "http_health_check"), checker.value);
    case "tcpHealthCheck":
      return compileTcp(at(field, "tcp_health_check"), checker.value);
    case "grpcHealthCheck":
      return compileGrpc(at(field, "grpc_health_check"), checker.value);
    case "customHealthCheck":
      return compileCustom(at(field, "custom_health_check"), checker.value);
    case undefined:
      throw invalid(
        field,
        "must set one of http_health_check, tcp_health_check, grpc_health_check, custom_health_check",
      );
  }
}

/** Envoy's check of Redis is the only one of its kind that is known. */
function compileCustom(field: string, { name, configType }: HealthCheck_CustomHealthCheck): RedisProbe {
  const config = configType.case === "typedConfig" ? configType.value : undefined;
  if (config === undefined || !holds(config, RedisSchema))
    throw invalid(field, `${JSON.stringify(name)} is not supported: use HTTP, TCP, gRPC or Redis`);
  return { kind: "redis", key: unpack(at(field, "typed_config"), config, RedisSchema).key };
}

function compileHttp(field: string, http: HealthCheck_HttpHealthCheck): HttpProbe {
  if (http.serviceNameMatcher !== undefined)
    throw invalid(at(field, "service_name_matcher"), "is not supported");
  if (!/^\/[\x21-\x7e]*$/.test(http.path))
    throw invalid(at(field, "path"), "must be a path that begins with /");
  if (http.method === RequestMethod.CONNECT) throw invalid(at(field, "method"), "must not be CONNECT");
  const expected = compileRanges(at(field, "expected_statuses"), http.expectedStatuses);
  return {
    kind: "http",
    method: RequestMethod[http.method === RequestMethod.METHOD_UNSPECIFIED ? RequestMethod.GET : http.method],
    path: http.path,
    host: http.host,
    headers: compileLiteralMutations(field, {
      requestHeadersToAdd: http.requestHeadersToAdd,
      requestHeadersToRemove: http.requestHeadersToRemove,
      responseHeadersToAdd: [],
      responseHeadersToRemove: [],
    }).request,
    body: http.send === undefined ? new Uint8Array() : bytesOf(at(field, "send"), http.send),
    http2: http.codecClientType === CodecClientType.HTTP2,
    expected: expected.length > 0 ? expected : OK,
    retriable: compileRanges(at(field, "retriable_statuses"), http.retriableStatuses),
    receive: http.receive.map((one, index) => bytesOf(at(field, `receive[${index}]`), one)),
    responseBytes: http.responseBufferSize === undefined ? RESPONSE_BYTES : Number(http.responseBufferSize),
  };
}

function compileRanges(
  field: string,
  ranges: readonly { readonly start: bigint; readonly end: bigint }[],
): StatusRange[] {
  return ranges.map(({ start, end }, index) => {
    if (start < 100n || end > 600n || start >= end)
      throw invalid(`${field}[${index}]`, "must be statuses from 100 on and below 600, the end not included");
    return { start: Number(start), end: Number(end) };
  });
}

function compileTcp(field: string, tcp: HealthCheck_TcpHealthCheck): TcpProbe {
  if (tcp.proxyProtocolConfig !== undefined) {
    throw invalid(at(field, "proxy_protocol_config"), "is not supported: the cluster's own is used");
  }
  return {
    kind: "tcp",
    send: tcp.send === undefined ? new Uint8Array() : bytesOf(at(field, "send"), tcp.send),
    receive: tcp.receive.map((one, index) => bytesOf(at(field, `receive[${index}]`), one)),
  };
}

function compileGrpc(field: string, grpc: HealthCheck_GrpcHealthCheck): GrpcProbe {
  return {
    kind: "grpc",
    service: grpc.serviceName,
    authority: grpc.authority,
    metadata: compileLiteralMutations(field, {
      requestHeadersToAdd: grpc.initialMetadata,
      requestHeadersToRemove: [],
      responseHeadersToAdd: [],
      responseHeadersToRemove: [],
    }).request,
  };
}

/** A payload's bytes: as they are, or from hexadecimal. */
function bytesOf(field: string, { payload }: HealthCheck_Payload): Uint8Array {
  if (payload.case === "binary") return payload.value.slice();
  const text = payload.value ?? "";
  if (text === "" || !/^(?:[0-9a-f]{2})+$/i.test(text)) throw invalid(field, "must be bytes in hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
