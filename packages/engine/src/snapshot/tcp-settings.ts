import type { Any } from "@bufbuild/protobuf/wkt";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type {
  TcpProxy,
  TcpProxy_TunnelingConfig,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { HashPolicy } from "@tulle/xds/gen/envoy/type/v3/hash_policy_pb.js";
import { RequestHash } from "../affinity/request-hash.js";
import type { ConnectionGuard } from "../authorization/connection-guard.js";
import type { TcpChain, TunnelSettings } from "./contract.js";
import { saltOf } from "../entropy.js";
import { RETRY_ON_CONNECT_FAILURE } from "../route/retry-on.js";
import type { CompiledRetry } from "../route/retry-policy.js";
import { Split } from "../route/split.js";
import { BARE_WAY, Way } from "../route/way.js";
import { accessLogFormat } from "./access-log.js";
import { holds, unpack } from "./any.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";

/** A compiled TcpProxy. */
export interface TcpSettings {
  readonly name: string;
  readonly direction: "inbound" | "outbound";
  readonly accessLogFormat: string | undefined;
  readonly tunnel: TunnelSettings | undefined;
  readonly target: Way | Split<Way>;
  /** Those that it leads to, and those that are asked. */
  readonly clusters: readonly string[];
  /** Who may connect: all must agree. */
  readonly guards: readonly ConnectionGuard[];
}

/** Where a listener sends connections. One object for as long as neither its settings nor its warmth change. */
export class BytesChain implements TcpChain {
  readonly protocol = "tcp";
  readonly name: string;
  readonly warm: boolean;
  readonly direction: "inbound" | "outbound";
  readonly accessLogFormat: string | undefined;
  readonly tunnel: TunnelSettings | undefined;
  readonly target: Way | Split<Way>;
  readonly guards: readonly ConnectionGuard[];

  constructor(settings: TcpSettings, warm: boolean) {
    this.name = settings.name;
    this.warm = warm;
    this.direction = settings.direction;
    this.accessLogFormat = settings.accessLogFormat;
    this.tunnel = settings.tunnel;
    this.target = settings.target;
    this.guards = settings.guards;
  }
}

/** Envoy's default of `idle_timeout`: one hour. */
const DEFAULT_IDLE_TIMEOUT_MS = 3_600_000;
/** More tries than this would only keep a client waiting. */
const MAX_CONNECT_ATTEMPTS = 100;
/** How often another endpoint is looked for when the pick was tried before. */
const HOST_RESELECTIONS = 5;

/** Whether a network filter's configuration is a TcpProxy. */
export function isTcpProxy(any: Any | undefined): boolean {
  return any !== undefined && holds(any, TcpProxySchema);
}

/** Compiles the TcpProxy in `any` for the listener `name`. */
export function compileTcp(
  field: string,
  any: Any | undefined,
  name: string,
  direction: "inbound" | "outbound",
  guards: readonly ConnectionGuard[] = [],
): TcpSettings {
  const proxy = unpack(field, any, TcpProxySchema);
  refuseOthers(field, proxy);
  const way = (clusterName: string): Way => createWay(field, proxy, clusterName);
  const { target, clusters } = compileTarget(field, proxy, way, saltOf(`tcp:${name}`));
  return {
    name,
    direction,
    guards,
    accessLogFormat: accessLogFormat(at(field, "access_log"), proxy.accessLog),
    tunnel: compileTunnel(at(field, "tunneling_config"), proxy.tunnelingConfig),
    target,
    clusters: [...new Set([...clusters, ...guards.flatMap((guard) => guard.clusters)])],
  };
}

function compileTarget(
  field: string,
  { clusterSpecifier }: TcpProxy,
  way: (clusterName: string) => Way,
  salt: number,
): Pick<TcpSettings, "target" | "clusters"> {
  switch (clusterSpecifier.case) {
    case "cluster":
      if (clusterSpecifier.value === "") throw invalid(at(field, "cluster"), "must not be empty");
      return { target: way(clusterSpecifier.value), clusters: [clusterSpecifier.value] };
    case "weightedClusters": {
      const { clusters } = clusterSpecifier.value;
      const here = at(field, "weighted_clusters");
      const ways = clusters.map((one, index) => {
        if (one.name === "") throw invalid(at(here, `clusters[${index}].name`), "must not be empty");
        return way(one.name);
      });
      const weights = clusters.map((one) => one.weight);
      return {
        target: new Split(here, ways, weights, salt),
        clusters: [...new Set(clusters.map((one) => one.name))],
      };
    }
    case undefined:
      throw invalid(field, "must set one of cluster, weighted_clusters");
  }
}

function createWay(field: string, proxy: TcpProxy, clusterName: string): Way {
  const tries = Math.min(proxy.maxConnectAttempts ?? 1, MAX_CONNECT_ATTEMPTS);
  if (tries < 1) throw invalid(at(field, "max_connect_attempts"), "must be at least 1");
  return new Way({
    ...BARE_WAY,
    clusterName,
    idleTimeoutMs: durationMs(at(field, "idle_timeout"), proxy.idleTimeout) ?? DEFAULT_IDLE_TIMEOUT_MS,
    retry: tries > 1 ? connectRetry(tries - 1) : undefined,
    hash: compileHash(at(field, "hash_policy"), proxy.hashPolicy),
  });
}

const HOST_AND_PORT = /^(?:\[[0-9a-f:.]+\]|[\w.~-]+):[1-9]\d{0,4}$/i;

function compileTunnel(
  field: string,
  config: TcpProxy_TunnelingConfig | undefined,
): TunnelSettings | undefined {
  if (config === undefined) return undefined;
  const { hostname, usePost, headersToAdd, postPath } = config;
  if (usePost || postPath !== "") throw invalid(at(field, "use_post"), "is not supported");
  if (headersToAdd.length > 0) throw invalid(at(field, "headers_to_add"), "is not supported");
  // Envoy's command operators are none of these.
  if (!HOST_AND_PORT.test(hostname)) throw invalid(at(field, "hostname"), "must be a host with a port");
  return { target: hostname };
}

/** The address is all there is to hash of a connection. */
function compileHash(field: string, policies: readonly HashPolicy[]): RequestHash | undefined {
  if (policies.length === 0) return undefined;
  if (policies.some(({ policySpecifier }) => policySpecifier.case !== "sourceIp"))
    throw invalid(field, "must be source_ip");
  return RequestHash.ofSourceAddress();
}

/** Another endpoint, at once. */
function connectRetry(attempts: number): CompiledRetry {
  return {
    attempts,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    on: RETRY_ON_CONNECT_FAILURE,
    onAnyMethod: 0,
    looksAtEveryAnswer: false,
    statusCodes: [],
    backoffBaseMs: 0,
    backoffMaxMs: 0,
    hostReselections: HOST_RESELECTIONS,
    avoidsTried: true,
    triesPerPriority: 0,
    requests: [],
    answers: [],
    resets: undefined,
  };
}

/** What would send bytes elsewhere, or not at all, when it is not looked at. Statistics are left out. */
function refuseOthers(field: string, proxy: TcpProxy): void {
  const others: readonly (readonly [string, boolean])[] = [
    ["on_demand", proxy.onDemand !== undefined],
    ["metadata_match", proxy.metadataMatch !== undefined],
    ["max_downstream_connection_duration", proxy.maxDownstreamConnectionDuration !== undefined],
  ];
  for (const [name, set] of others) if (set) throw invalid(at(field, name), "is not supported");
}
