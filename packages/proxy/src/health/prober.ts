import { DisposableStack, silentLogger, type Disposable, type TimerWheel } from "@tulle/base";
import {
  createLoadTable,
  type ClusterPart,
  type EndpointPart,
  type HealthCheckSettings,
  type UpstreamTls,
} from "@tulle/engine";
import { FlushQueue } from "@tulle/http/socket";

import type { ProxyLimits } from "../limits/proxy-limits.js";
import { preambleOf } from "../proxy-protocol/preamble.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { OriginatedContexts } from "../tls/originated-contexts.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import { Connector } from "../upstream/connector.js";
import { KeepAlive } from "../upstream/keep-alive.js";
import { UpstreamPools } from "../upstream/upstream-pools.js";
import { GrpcProbeExchange } from "./grpc-probe.js";
import { HttpProbeExchange, ProbeRequest } from "./http-probe.js";
import type { ProbeOutcome } from "./probe.js";
import { conversationOf } from "./conversation.js";
import { runTcpProbe } from "./tcp-probe.js";

/** A probe is nobody's: there is no client to tell of. */
const NO_CLIENT = { remoteAddress: "", localAddress: "" };

export interface ProberOptions {
  /** Its tick is what timeouts may be late by. */
  readonly wheel: TimerWheel;
  readonly tls: WorkloadTls;
  readonly limits: ProxyLimits;
  /** For servers outside the mesh; disposed with the prober. */
  readonly originated: OriginatedContexts;
}

/** What is asked, of whom. */
export interface Probe {
  readonly endpoint: EndpointPart;
  readonly settings: HealthCheckSettings;
  /** Name of the service, for servers that want to know whom they are taken for. */
  readonly host: string;
  /** Cluster that the connections are made for. */
  readonly cluster: ClusterPart;
}

/**
 * Asks endpoints whether they are well: over connections of its own, made as those for requests are, mutual TLS included.
 * Its connections take part in no limit and no statistics of the cluster.
 */
export class Prober implements Disposable {
  readonly #wheel: TimerWheel;
  readonly #connector: Connector;
  readonly #originated: OriginatedContexts;
  readonly #pools: UpstreamPools;
  readonly #owned = new DisposableStack();

  constructor({ wheel, tls, limits, originated }: ProberOptions) {
    this.#wheel = wheel;
    this.#originated = this.#owned.use(originated);
    this.#connector = new Connector(wheel, tls, originated);
    this.#pools = this.#owned.use(
      new UpstreamPools({
        connector: this.#connector,
        queue: new FlushQueue(),
        coarseWheel: wheel,
        keepAlive: new KeepAlive(silentLogger),
        load: createLoadTable({ maxSlots: 1 }),
        metrics: new UpstreamMetrics(new MetricsRegistry()),
        limits,
        onCodecRefusal: () => undefined,
      }),
    );
    this.#owned.use(tls.onChanged(() => this.#pools.renewMutualTls()));
    this.#owned.use(originated.onChanged((key) => this.#pools.renewTls(key)));
  }

  /** `onDone` is called once, later, within the check's timeout, unless the result is disposed before. */
  run(probe: Probe, onDone: (outcome: ProbeOutcome) => void): Disposable {
    const { timeoutMs } = probe.settings;
    let running: Disposable | undefined;
    let over = false;
    const finish = (outcome: ProbeOutcome): void => {
      if (over) return;
      over = true;
      timer.disarm();
      onDone(outcome);
    };
    const timer = this.#wheel.timer(() => {
      running?.[Symbol.dispose]();
      finish({ kind: "unreachable", reason: `there was no answer within ${timeoutMs} ms`, timedOut: true });
    });
    timer.arm(timeoutMs);
    running = this.#start(probe, finish);
    return {
      [Symbol.dispose]: () => {
        over = true;
        timer.disarm();
        running?.[Symbol.dispose]();
      },
    };
  }

  /** The configuration has changed. Endpoints as checks call them: connections to others are let go of. */
  onConfigurationChanged(endpoints: readonly EndpointPart[]): void {
    this.#originated.onConfigurationChanged();
    this.#pools.keepOnly(endpoints);
    this.#originated.keepOnly(endpoints);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  #start({ endpoint, settings, host, cluster }: Probe, onDone: (outcome: ProbeOutcome) => void): Disposable {
    const { probe, timeoutMs } = settings;
    if (probe.kind === "tcp" || probe.kind === "redis") {
      const preamble = preambleOf(endpoint, NO_CLIENT);
      return runTcpProbe(this.#connector, endpoint, preamble, timeoutMs, conversationOf(probe), onDone);
    }
    const exchange =
      probe.kind === "http" ? new HttpProbeExchange(probe, host) : new GrpcProbeExchange(probe, host);
    const request = new ProbeRequest(exchange, onDone);
    const pool = this.#pools.for(endpoint, NO_CLIENT);
    pool.acquire(cluster, request);
    return {
      [Symbol.dispose]: () => {
        pool.withdraw(request);
        request.cancel();
      },
    };
  }
}

/** The endpoint as a check calls it: its port and version of HTTP may be others than those of requests. */
export function probedEndpoint(
  endpoint: EndpointPart,
  { probe, altPort }: HealthCheckSettings,
): EndpointPart {
  const http2 = probe.kind === "grpc" || (probe.kind === "http" && probe.http2);
  const at = altPort === 0 ? {} : otherPort(endpoint, altPort);
  const { tls } = endpoint;
  const alpn = probe.kind === "grpc" && tls !== undefined ? { tls: http2Only(tls) } : {};
  return { ...endpoint, ...at, ...alpn, http2: http2 && tls === undefined, overHttp2: undefined };
}

function otherPort({ key, host }: EndpointPart, port: number): Pick<EndpointPart, "key" | "port"> {
  return { key: `${key}>${host}:${port}`, port };
}

/** gRPC over HTTP/1.1 would be no answer. */
function http2Only(tls: UpstreamTls): UpstreamTls {
  return { ...tls, key: `${tls.key}|h2`, alpn: ["h2"] };
}

/** The cluster as a check's connections count on it: on no slot, and without limits. */
export function probingCluster(cluster: ClusterPart, { reuseConnection }: HealthCheckSettings): ClusterPart {
  const { name, serviceHost, servicePort, subset, provenance, connectTimeoutMs, warm } = cluster;
  return {
    name,
    serviceHost,
    servicePort,
    subset,
    provenance,
    connectTimeoutMs,
    warm,
    slot: 0,
    high: undefined,
    maxConnections: Number.POSITIVE_INFINITY,
    maxPendingRequests: Number.POSITIVE_INFINITY,
    maxRequests: Number.POSITIVE_INFINITY,
    maxRetries: 0,
    maxRequestsPerConnection: reuseConnection ? 0 : 1,
    connection: cluster.connection,
    outlier: undefined,
    healthCheck: undefined,
    endpoints: [],
    members: [],
    originalDestination: false,
  };
}
