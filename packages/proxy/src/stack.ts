import { DisposableStack, Emitter, type Clock, type Disposable, type Logger, TimerWheel } from "@tulle/base";
import type { LoadTable, SnapshotSource } from "@tulle/engine";
import { FlushQueue, TurnClock } from "@tulle/http/socket";

import type { ServerConnectionContext } from "./connection/server-connection.js";
import { OutlierRecorder, type Suspicion } from "./health/outlier-recorder.js";
import { LearntPorts } from "./detection/learnt-ports.js";
import { limitOfCode, type LimitName } from "./limits/limit-table.js";
import { ProxyLimits } from "./limits/proxy-limits.js";
import { StruckLimits } from "./limits/struck-limits.js";
import type { MemoryUse } from "./overload/monitors.js";
import { OverloadManager, type OverloadState } from "./overload/overload-manager.js";
import { ExtAuthzFetcher } from "./facts/ext-authz-fetcher.js";
import { factFetchers } from "./facts/fetchers.js";
import { FactSource } from "./facts/fact-source.js";
import { encodePeerMetadata } from "./filters/peer-metadata.js";
import type { TcpContext } from "./tcp/contract.js";
import { OriginatedContexts } from "./tls/originated-contexts.js";
import type { WorkloadTls } from "./tls/workload-tls.js";
import { TrafficObserver } from "./observed/traffic-observer.js";
import { DecisionRecords } from "./records/decision-records.js";
import { AuthorityCache } from "./stream/authority-cache.js";
import { hashRequestId } from "./stream/decision.js";
import { EndpointWaits } from "./stream/endpoint-waits.js";
import { Exchange } from "./stream/exchange.js";
import type { ExchangeContext } from "./stream/exchange-context.js";
import { ParkingLot } from "./stream/parking.js";
import { ExchangeTelemetry } from "./telemetry/exchange-telemetry.js";
import { AuthorizationMetrics } from "./telemetry/authorization-metrics.js";
import { collectAdmission } from "./telemetry/admission-metrics.js";
import { AccessLog } from "./telemetry/access-log.js";
import { IstioMetrics } from "./telemetry/istio-metrics.js";
import type { LineWriter } from "./telemetry/line-writer.js";
import type { MetricsRegistry } from "./telemetry/metrics.js";
import { TcpTelemetry } from "./telemetry/tcp-telemetry.js";
import type { OwnWorkload } from "./telemetry/traffic-labels.js";
import { UpstreamMetrics } from "./telemetry/upstream-metrics.js";
import { Connector } from "./upstream/connector.js";
import { KeepAlive } from "./upstream/keep-alive.js";
import { endpointsOf, UpstreamPools } from "./upstream/upstream-pools.js";

/** Ticks of the two shared timer wheels, milliseconds. */
const FINE_TICK_MS = 10;
const COARSE_TICK_MS = 500;

/** Connections to endpoints that are gone are let go of so long after a change: one that is back at once keeps them. */
const REMOVAL_MS = 1000;

const DEFAULT_RECORD_PERCENT = 1;

/** What a proxy is made of. */
export interface StackOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly tls: WorkloadTls;
  readonly workload: OwnWorkload;
  readonly metrics: MetricsRegistry;
  readonly accessLog: LineWriter | undefined;
  /** Default: those of the table. */
  readonly limits?: ProxyLimits;
  /** Share of the successes that decision records are kept of, percent; default 1. */
  readonly recordPercent?: number;
  /** Whether error answers say in Proxy-Status what went wrong; default true. */
  readonly proxyStatus?: boolean;
  /** For a Proxy-Status that names the proxy by it. */
  readonly nodeId?: string;
  /** Default: this thread's and its process'. */
  readonly readMemory?: () => MemoryUse;
  /** File with the authorities of servers outside the mesh where none are named; default: the operating system's. */
  readonly systemRootsFile?: string | undefined;
  readonly newRequestId: () => string;
  /** There is traffic; called once. */
  readonly onBusy?: (() => void) | undefined;
  /** A request asked for an authority that is not subscribed to. */
  readonly onDemand: (authority: string) => void;
  /** Requests found that an endpoint stands out. */
  readonly onSuspect: (suspicion: Suspicion) => void;
}

/** The request path, put together; listeners feed it. */
export interface ProxyStack extends Disposable {
  readonly connection: ServerConnectionContext;
  readonly tcp: TcpContext;
  readonly pools: UpstreamPools;
  readonly records: DecisionRecords;
  readonly observer: TrafficObserver;
  readonly overload: OverloadState;
  /** Call after every change of the configuration. */
  onConfigurationChanged(): void;
}

/** Composes the request path from the client's connection (top) to the endpoint's (bottom). */
export function buildStack(options: StackOptions): ProxyStack {
  const { metrics, tls, logger, limits = new ProxyLimits() } = options;
  const owned = new DisposableStack();
  const queue = new FlushQueue();
  const clock = new TurnClock(options.clock, queue, options.onBusy);
  const fineWheel = owned.use(new TimerWheel(clock, FINE_TICK_MS));
  const coarseWheel = owned.use(new TimerWheel(clock, COARSE_TICK_MS));

  const struck = new StruckLimits(metrics, logger, clock);
  const { values } = limits.trusted;
  const strike = (name: LimitName, remote: string): void => struck.strike(name, values[name], remote);
  const strikeForCode = (code: string, remote: string, of = values): void => {
    const name = limitOfCode(code);
    if (name !== undefined) struck.strike(name, of[name], remote);
  };

  const upstreamMetrics = new UpstreamMetrics(metrics);
  const originated = owned.use(
    new OriginatedContexts({
      clock: options.clock,
      logger,
      metrics,
      configuration: options.configuration,
      systemRootsFile: options.systemRootsFile,
    }),
  );
  const connector = new Connector(fineWheel, tls, originated);
  const keepAlive = new KeepAlive(logger);
  const { load } = options;
  const outliers = new OutlierRecorder(load, tls, options.onSuspect);
  const pools = owned.use(
    new UpstreamPools({
      connector,
      queue,
      coarseWheel,
      keepAlive,
      load,
      metrics: upstreamMetrics,
      limits,
      onCodecRefusal: (code, remote) =>
        code === "HTTP_HEAD_TOO_LARGE"
          ? strike("http1.maxResponseHeadBytes", remote)
          : strikeForCode(code, remote),
    }),
  );
  owned.use(tls.onChanged(() => pools.renewMutualTls()));
  owned.use(originated.onChanged((key) => pools.renewTls(key)));
  const removal = coarseWheel.timer(() => {
    const { current } = options.configuration;
    pools.keepOnly(endpointsOf(current));
    originated.keepOnly(endpointsOf(current));
  });

  const parking = new ParkingLot(values["request.maxParked"], values["request.parkTimeoutMs"], () =>
    strike("request.maxParked", ""),
  );
  metrics.onCollect(() =>
    metrics
      .gauge("tulle_parked_requests", "Requests and connections waiting for configuration.")
      .with([])
      .set(parking.size),
  );
  const endpointWaits = new EndpointWaits({
    clock,
    configuration: options.configuration,
    load,
    fineWheel,
    metrics,
  });
  collectAdmission(metrics, load);
  const overload = owned.use(
    new OverloadManager({
      clock: options.clock,
      turn: clock,
      metrics,
      limits: values,
      onOverload: (name) => strike(name, ""),
      ...(options.readMemory && { readMemory: options.readMemory }),
    }),
  );
  const accessLog = new AccessLog(options.accessLog);
  const telemetry = new ExchangeTelemetry(new IstioMetrics(metrics, options.workload), accessLog);
  const observer = new TrafficObserver(clock);
  const records = new DecisionRecords({
    configuration: options.configuration,
    clock,
    samplePercent: options.recordPercent ?? DEFAULT_RECORD_PERCENT,
    dropped: metrics
      .counter("tulle_decision_records_dropped_total", "Failures of which no decision record was kept.")
      .with([]),
  });
  const calls = {
    clock,
    configuration: options.configuration,
    load,
    pools,
    upstreamMetrics,
    outliers,
    fineWheel,
  };
  const authorizers = new ExtAuthzFetcher(calls, metrics);
  const facts = new FactSource(
    factFetchers(authorizers, calls, metrics, clock, logger),
    values["request.maxAsking"],
    () => strike("request.maxAsking", ""),
  );
  metrics.onCollect(() =>
    metrics
      .gauge("tulle_asking_requests", "Requests and connections that wait for another service's word.")
      .with([])
      .set(facts.pending),
  );
  const exchange: ExchangeContext = {
    ...calls,
    coarseWheel,
    endpointWaits,
    parking,
    authorities: new AuthorityCache(),
    proxyName: options.proxyStatus === false ? "" : `tulle-${options.workload.canonicalName}`,
    nodeId: options.nodeId ?? "",
    peerMetadata: encodePeerMetadata(options.workload),
    maxReplayBytes: values["request.maxReplayBytes"],
    onReplayGivenUp: () => strike("request.maxReplayBytes", ""),
    rateLimited: metrics.counter(
      "tulle_rate_limited_requests_total",
      "Requests beyond a rate limit; enforced=false: a limit that only counts.",
    ),
    authorization: new AuthorizationMetrics(metrics, "http"),
    mirrorsDropped: metrics
      .counter(
        "tulle_mirrored_requests_dropped_total",
        "Copies of requests that were not answered: no instance, broken off, or slower than the request.",
      )
      .with([]),
    overload,
    facts,
    newRequestId: options.newRequestId,
    onDemand: options.onDemand,
    onExchangeDone: (done) => {
      telemetry.record(done);
      records.take(done);
      if (observer.on) observer.request(done);
    },
  };

  const codecErrors = metrics.counter(
    "envoy_http1_codec_errors_total",
    "Requests refused by the HTTP/1 codec.",
  );
  const http2Refusals = metrics.counter(
    "envoy_http2_codec_errors_total",
    "Streams and connections refused by the HTTP/2 codec.",
  );
  const socksRefusals = metrics.counter(
    "tulle_socks_refused_total",
    "Connections of SOCKS clients refused: malformed, methods, command, address type.",
  );
  const connection: ServerConnectionContext = {
    queue,
    coarseWheel,
    limits,
    overload,
    onLimit: (name, value, remote) => struck.strike(name, value, remote),
    createExchange: (downstream, source) => new Exchange(exchange, downstream, source),
    onCodecError: (error, source) => {
      codecErrors.with(["code", error.code]).inc();
      strikeForCode(error.code, source.remoteAddress, limits.of(source).values);
      logger.debug("request refused", { code: error.code, remote: source.remoteAddress });
      return `${error.message}\n`;
    },
    onSocksRefusal: (reason, source) => {
      socksRefusals.with(["reason", reason]).inc();
      logger.debug("SOCKS refused", { reason, remote: source.remoteAddress });
    },
    onHttp2Refusal: (refusal, source) => {
      http2Refusals.with(["code", refusal.code]).inc();
      strikeForCode(refusal.code, source.remoteAddress, limits.of(source).values);
      logger.debug("HTTP/2 refused", { code: refusal.code, remote: source.remoteAddress });
    },
  };
  const configurationChanged = new Emitter<void>();
  const tcpTelemetry = new TcpTelemetry(metrics, options.workload, accessLog);
  const tcp: TcpContext = {
    clock,
    configuration: options.configuration,
    load,
    connector,
    upstreamMetrics,
    outliers,
    coarseWheel,
    keepAlive,
    parking,
    onConfigurationChanged: configurationChanged.event,
    telemetry: {
      opened: (record) => tcpTelemetry.opened(record),
      closed: (record) => {
        tcpTelemetry.closed(record);
        if (observer.on) observer.connection(record);
      },
    },
    detection: { fineWheel, coarseWheel, ports: new LearntPorts(metrics) },
    onDemand: options.onDemand,
    authorization: new AuthorizationMetrics(metrics, "tcp"),
    askAuthorizer: (need, asker, onFact) =>
      facts.ask((told) => authorizers.fetchForConnection(need, asker, told), onFact),
    newEntropy: () => hashRequestId(options.newRequestId()),
  };
  return {
    connection,
    tcp,
    pools,
    records,
    observer,
    overload,
    onConfigurationChanged: () => {
      configurationChanged.emit();
      originated.onConfigurationChanged();
      if (!removal.armed) removal.arm(REMOVAL_MS);
      parking.wake();
      endpointWaits.look();
    },
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}
