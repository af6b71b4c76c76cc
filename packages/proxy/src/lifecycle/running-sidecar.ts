import { randomInt } from "node:crypto";

import { create } from "@bufbuild/protobuf";
import { connectControlPlane, TrustSubscription, type JoiningIdentity } from "@tulle/agent";
import {
  DisposableStack,
  formatAddress,
  MeshError,
  VERSION,
  type Clock,
  type Logger,
  type LogLevel,
} from "@tulle/base";
import {
  createLoadTable,
  createSharedLoadTable,
  entropyOf,
  type SharedSlotOwner,
  type SlotTable,
} from "@tulle/engine";
import { NodeSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { HelloSchema, type Hello } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { ApplicationReadiness } from "./application-probe.js";
import { adminEndpoints, readyEndpoint, type ServerState } from "../admin/admin-endpoints.js";
import { Explainer } from "../admin/explainer.js";
import type { Endpoint } from "../admin/http-endpoints.js";
import { ClusterNames } from "../dns/cluster-names.js";
import { systemLookUp } from "../dns/system-lookup.js";
import { EndpointHealth } from "../health/endpoint-health.js";
import { HealthEventLog } from "../health/health-event-log.js";
import type { Suspicion } from "../health/outlier-recorder.js";
import { AgentStream } from "../agent-stream/agent-stream.js";
import { answerQuery, QUERIES } from "../agent-stream/answer-query.js";
import { EndpointAges } from "../agent-stream/endpoint-sets.js";
import { parseLimits, ProxyLimits } from "../limits/proxy-limits.js";
import { INBOUND_LISTENER } from "../listener/inbound-source.js";
import type { Sidecar, SidecarControlPlane, SidecarHandover, SidecarOptions } from "../options.js";
import { addCircuitBreakerMetrics } from "../telemetry/circuit-breaker-metrics.js";
import { openLineWriter } from "../telemetry/line-writer.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { addProcessMetrics } from "../telemetry/process-metrics.js";
import { WorkloadTls } from "../tls/workload-tls.js";
import { AdsClient } from "../xds/ads-client.js";
import { ConfigCache } from "../xds/config-cache.js";
import { DEMAND_SWEEP_MS } from "../xds/demand.js";
import { nodeId, nodeMetadata } from "../xds/node.js";
import type { ObservationAction } from "../observed/contract.js";
import type { SidecarConfiguration } from "../xds/sidecar-configuration.js";
import { WantedListeners } from "../xds/wanted-listeners.js";
import { CapturedTraffic } from "./captured-traffic.js";
import { upstreamEnvironment } from "./environment.js";
import { FailOpen } from "./fail-open.js";
import { LocalTraffic } from "./local-traffic.js";
import { openLocalServers, type LocalServers } from "./local-servers.js";
import { Readiness } from "./readiness.js";
import type { Traffic, TrafficAddresses } from "./traffic.js";

/** SPIFFE's and Istio's. */
export const DEFAULT_TRUST_DOMAIN = "cluster.local";

/** What a sidecar is given beside its options. */
export interface SidecarParts {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly identity: JoiningIdentity;
  /** Undefined until it is known; there is no identity before. */
  readonly controlPlane: () => SidecarControlPlane | undefined;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
}

/** The parts of a sidecar and how they begin and end. */
export class RunningSidecar implements Sidecar {
  readonly ready: Promise<void>;
  readonly quitRequested: Promise<void>;
  readonly failed: Promise<never>;
  readonly #options: SidecarOptions;
  readonly #parts: SidecarParts;
  readonly #owned = new DisposableStack();
  readonly #metrics = new MetricsRegistry();
  /** Undefined unless several threads carry traffic. */
  readonly #sharedLoad: SharedSlotOwner | undefined;
  readonly #load: SlotTable;
  readonly #captured: CapturedTraffic;
  /** Undefined unless it was asked for. */
  readonly #failOpen: FailOpen | undefined;
  readonly #configuration: SidecarConfiguration;
  readonly #wanted: WantedListeners;
  readonly #tls: WorkloadTls;
  readonly #trust: TrustSubscription;
  readonly #health: EndpointHealth;
  readonly #cache: ConfigCache;
  readonly #readiness: Readiness;
  readonly #explainer: Explainer;
  readonly #ages: EndpointAges;
  readonly #startedAtMs: number;
  #traffic: Traffic | undefined;
  #open: (TrafficAddresses & LocalServers) | undefined;
  #ads: AdsClient | undefined;
  #agent: AgentStream | undefined;
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #retired = false;
  #quit: () => void = () => undefined;
  #fail: (error: MeshError) => void = () => undefined;

  constructor(options: SidecarOptions, parts: SidecarParts) {
    const { clock, logger, identity } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#startedAtMs = clock.now();
    this.#wanted = new WantedListeners([
      INBOUND_LISTENER,
      ...options.upstreams.map(({ authority }) => authority.toLowerCase()),
    ]);
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.quitRequested = new Promise((resolve) => {
      this.#quit = resolve;
    });

    const own = { seed: randomInt(2 ** 32), identity: entropyOf(nodeId(options)) };
    if ((options.workers ?? 1) > 1) {
      this.#sharedLoad = createSharedLoadTable({ ...own, clockOriginMs: performance.timeOrigin });
    }
    this.#load = this.#sharedLoad ?? createLoadTable(own);
    this.#captured = new CapturedTraffic(options, { clock, logger, metrics: this.#metrics });
    const { policy } = this.#captured;
    if (policy.failsOpen) this.#failOpen = new FailOpen({ ...parts, metrics: this.#metrics, policy });
    this.#configuration = this.#captured.configuration(this.#load);
    this.#owned.use(identity);
    this.#tls = this.#owned.use(new WorkloadTls(identity, clock));
    this.#trust = this.#owned.use(
      new TrustSubscription({
        ...parts,
        trustDomain: () => this.#controlPlane().trustDomain,
        onTrust: (update) => identity.trust(update),
      }),
    );
    const lost = this.#metrics
      .counter("tulle_health_log_dropped_total", "Lines of the health log dropped because it is stuck.")
      .with([]);
    const healthLog = openLineWriter(options.healthLog ?? "off", clock, lost);
    if (healthLog !== undefined) this.#owned.use(healthLog);
    this.#health = this.#owned.use(
      new EndpointHealth({
        clock,
        logger,
        events: new HealthEventLog(healthLog, clock),
        metrics: this.#metrics,
        load: this.#load,
        configuration: this.#configuration,
        tls: this.#tls,
        limits: new ProxyLimits(parseLimits(options.limits ?? [])),
        random: parts.random,
      }),
    );
    this.#owned.use(this.#configuration.onChanged(() => this.#health.onConfigurationChanged()));
    this.#cache = new ConfigCache(
      options.stateDirectory,
      nodeId(options),
      () => this.#configuration.resources(),
      clock,
      logger,
    );
    this.#readiness = new Readiness({
      configuration: this.#configuration,
      tls: this.#tls,
      listeners: this.#wanted.fixed,
      servesPorts: options.inbound.length > 0,
      isGateway: options.gateway !== undefined,
      caughtUp: async () => this.#traffic?.caughtUp(),
      onReady: () => logger.info("sidecar is ready", { service: options.service }),
    });
    this.#explainer = new Explainer({
      clock,
      configuration: this.#configuration,
      load: this.#load,
      onDemand: (authority) => this.#demand(authority),
    });
    this.#ages = this.#owned.use(
      new EndpointAges({ clock, configuration: this.#configuration, metrics: this.#metrics }),
    );
    this.ready = this.#readiness.ready;
    this.failed.catch((error: unknown) => this.#readiness.fail(error));
    addProcessMetrics(this.#metrics, clock);
    addCircuitBreakerMetrics(this.#metrics, this.#configuration, this.#load);
  }

  get identity(): JoiningIdentity {
    return this.#parts.identity;
  }

  get addresses(): Sidecar["addresses"] {
    const { outbound, inbound, admin, metrics, readiness, upstreams, dns } = this.#mustBeOpen();
    return {
      ...(dns[0] === undefined ? {} : { dns: dns[0].address }),
      ...(outbound !== undefined && { outbound }),
      ...(inbound !== undefined && { inbound }),
      admin: admin.address,
      metrics: metrics.address,
      readiness: readiness.address,
      upstreams: this.#options.upstreams.map(({ authority }, i) => ({
        name: authority,
        host: upstreams[i]?.host ?? "",
        port: upstreams[i]?.port ?? 0,
      })),
    };
  }

  environment(): Record<string, string> {
    const { current } = this.#configuration;
    return upstreamEnvironment(
      this.addresses.upstreams.map((address) => ({
        ...address,
        scheme: current.outbound(address.name.toLowerCase())?.protocol === "tcp" ? "tcp" : "http",
      })),
    );
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  handover(): SidecarHandover {
    const { admin, metrics, readiness, dns } = this.#mustBeOpen();
    const traffic = this.#traffic?.handover;
    const names = dns.flatMap(({ sockets }) => [...sockets]);
    if (traffic === undefined || names.length < 2 * dns.length) {
      throw new MeshError(
        "invalid",
        "PROXY_NO_HANDOVER",
        "no successor can take over from a gateway, or a sidecar with --workers: restart it",
      );
    }
    const servers = [admin, metrics, readiness];
    const own = servers.flatMap(({ name, handle }) =>
      handle === undefined ? [] : [[name, handle] as const],
    );
    return {
      sockets: new Map([...traffic.sockets, ...names, ...own]),
      retire: async (drainMs) => {
        this.#retired = true;
        for (const server of servers) server.close();
        for (const listener of dns) listener[Symbol.dispose]();
        for (const part of [this.#ads, this.#agent, this.#trust, this.identity]) part?.[Symbol.dispose]();
        await this.#cache.release();
        await traffic.retire(drainMs);
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Opens the listeners and, once there is an identity, the stream to the control plane. */
  async start(): Promise<void> {
    const { clock, identity, logger } = this.#parts;
    await this.#loadConfiguration();
    this.#failOpen?.announce();
    const traffic = await this.#createTraffic();
    this.#traffic = traffic;
    const addresses = await traffic.open();
    const servers = await openLocalServers(
      {
        options: this.#options,
        scrape: () => this.#scrape(),
        logger,
        adminEndpoints: this.#adminEndpoints(traffic),
        readinessEndpoint: this.#readinessEndpoint(),
        openDns: await this.#captured.dnsOpener(),
      },
      this.#owned,
    );
    this.#open = { ...addresses, ...servers };
    this.#agent = this.#createAgentStream(traffic);
    this.#followNames();
    const ads = this.#createAdsClient();
    this.#ads = ads;
    const sweep = (): void => {
      if (this.#wanted.sweep()) ads.refresh();
    };
    this.#owned.use(clock.setInterval(sweep, DEMAND_SWEEP_MS, { keepAlive: false }));
    identity.ready().then(
      () => {
        if (this.#closing !== undefined) return;
        ads.connect();
        // A stream lives no longer than the certificate that it began with: begin a new one in time.
        // The control plane knows a connection by its certificate; new roots change nothing about that.
        let { serialNumber } = identity.current();
        this.#owned.use(
          identity.onRotated((svid) => {
            if (svid.serialNumber === serialNumber) return;
            ({ serialNumber } = svid);
            ads.connect();
          }),
        );
        void this.#readiness.check();
      },
      (error: unknown) => {
        if (this.#closing === undefined) logger.error("this sidecar gets no identity", { error });
        this.#readiness.fail(error);
      },
    );
  }

  async #createTraffic(): Promise<Traffic> {
    const { logger, clock } = this.#parts;
    const parts = {
      options: { ...this.#options, failOpen: this.#failOpen?.active ?? false },
      clock,
      logger,
      metrics: this.#metrics,
      configuration: this.#configuration,
      tls: this.#tls,
      onDemand: (authority: string) => this.#demand(authority),
      onUse: (authority: string) => this.#wanted.touch(authority),
      onSuspect: (suspicion: Suspicion) => this.#health.suspect(suspicion),
    };
    const load = this.#sharedLoad;
    if (load === undefined) return new LocalTraffic({ ...parts, load: this.#load, captured: this.#captured });
    const [{ WorkerTraffic }, { spawnWorker }] = await Promise.all([
      import("../workers/worker-traffic.js"),
      import("../workers/spawn-worker.js"),
    ]);
    return new WorkerTraffic({ ...parts, load, spawn: spawnWorker, onFailure: this.#fail });
  }

  #demand(authority: string): void {
    if (this.#wanted.add(authority)) this.#ads?.refresh();
  }

  async #loadConfiguration(): Promise<void> {
    const kept = await this.#cache.load();
    // What was configured once is never open again, not even when the file is damaged.
    if (this.#cache.found) this.#captured.policy.clear();
    if (kept.length === 0) return;
    for (const { name, message } of this.#configuration.apply(kept)) {
      this.#parts.logger.warn("a resource on disk is not used", { name, why: message });
    }
    this.#wanted.addKept(kept);
    this.#wanted.forgetOthers(this.#configuration, kept);
  }

  #createAdsClient(): AdsClient {
    const { clock, logger, random } = this.#parts;
    return this.#owned.use(
      new AdsClient({
        connect: () => {
          const { svid } = this.#tls;
          const { xds: address, trustDomain, ...known } = this.#controlPlane();
          const rootCertificatePem = svid?.trustBundlePem ?? known.rootCertificatePem;
          return connectControlPlane({ address, rootCertificatePem, trustDomain }, svid, clock);
        },
        node: this.#node(),
        configuration: this.#configuration,
        onConnection: (client) => {
          this.#trust.attach(client);
          this.#agent?.attach(client);
        },
        roots: () => this.#wanted.names,
        onChanged: () => this.#onConfigurationChanged(),
        clock,
        random,
        logger,
        metrics: this.#metrics,
      }),
    );
  }

  #controlPlane(): Required<Omit<SidecarControlPlane, "joinToken">> {
    const known = this.#parts.controlPlane();
    if (known !== undefined) return { trustDomain: DEFAULT_TRUST_DOMAIN, ...known };
    throw new MeshError("unavailable", "PROXY_NO_CONTROL_PLANE", "the control plane is not known yet");
  }

  #onConfigurationChanged(): void {
    this.#traffic?.onConfigurationChanged();
    this.#explainer.onConfigurationChanged();
    this.#cache.touch();
    if (this.#failOpen?.check() === true) void this.#cache.flush();
    void this.#readiness.check();
  }

  /** Looks up the names of clusters' endpoints, as clusters come and go. */
  #followNames(): void {
    const { clock, logger, random } = this.#parts;
    const names = this.#owned.use(
      new ClusterNames({
        clock,
        logger,
        metrics: this.#metrics,
        configuration: this.#configuration,
        lookUp: systemLookUp,
        random,
        onChanged: () => this.#onConfigurationChanged(),
      }),
    );
    this.#owned.use(this.#configuration.onChanged(() => names.refresh()));
    names.refresh();
  }

  #createAgentStream(traffic: Traffic): AgentStream {
    const { clock, logger, random } = this.#parts;
    const context = {
      configuration: this.#configuration,
      load: this.#load,
      explainer: this.#explainer,
      ages: this.#ages,
      logger,
      checkFailure: (slot: number) => this.#health.checkFailureOf(slot),
      records: (requestId: string) => traffic.recordsOf(requestId),
      observe: (action: ObservationAction) => traffic.observe(action),
      setLogLevel: (level: LogLevel) => {
        logger.setLevel(level);
        traffic.setLogLevel(level);
      },
    };
    return this.#owned.use(
      new AgentStream({
        hello: () => this.#hello(),
        answer: (query) => answerQuery(query, context),
        clock,
        random,
        logger,
        metrics: this.#metrics,
      }),
    );
  }

  #hello(): Hello {
    const { service, meshAddress, inboundAddress = "127.0.0.1" } = this.#options;
    const { inbound } = this.#mustBeOpen();
    const node = create(NodeSchema, { ...this.#node(), userAgentName: "tulle" });
    return create(HelloSchema, {
      node,
      service,
      version: VERSION,
      inboundAddress: inbound === undefined ? "" : formatAddress(meshAddress ?? inboundAddress, inbound.port),
      queries: [...QUERIES],
    });
  }

  /** How this proxy names itself to the control plane. */
  #node(): { readonly id: string; readonly metadata: ReturnType<typeof nodeMetadata> } {
    return {
      id: nodeId(this.#options),
      metadata: nodeMetadata(this.#options, this.#mustBeOpen().admin.address),
    };
  }

  async #scrape(): Promise<MetricsRegistry> {
    await this.#traffic?.collect();
    return this.#metrics;
  }

  #adminEndpoints(traffic: Traffic): readonly Endpoint[] {
    const { clock, logger } = this.#parts;
    return adminEndpoints({
      clock,
      logger,
      scrape: () => this.#scrape(),
      configuration: this.#configuration,
      load: this.#load,
      checkFailure: (slot) => this.#health.checkFailureOf(slot),
      tls: this.#tls,
      explainer: this.#explainer,
      version: VERSION,
      startedAtMs: this.#startedAtMs,
      workers: this.#options.workers ?? 1,
      epoch: this.#options.epoch ?? 0,
      node: () => ({ ...this.#node(), user_agent_name: "tulle" }),
      state: () => this.#state(),
      failsOpen: () => this.#failOpen?.active ?? false,
      ads: () => this.#ads?.status() ?? { connected: false, lastError: "", types: new Map() },
      listeners: () => traffic.listeners(),
      setLogLevel: (level) => traffic.setLogLevel(level),
      drain: () => void this.drain(),
      quit: () => this.#quit(),
    });
  }

  #readinessEndpoint(): Endpoint {
    const probe = this.#options.readyIncludesApp;
    const application = probe && new ApplicationReadiness(probe, this.#parts.clock);
    return readyEndpoint("/healthz/ready", {
      state: () => this.#state(),
      failsOpen: () => this.#failOpen?.active ?? false,
      ...(application === undefined ? {} : { applicationProblem: () => application.problem() }),
    });
  }

  #state(): ServerState {
    if (this.#retired || this.#draining !== undefined || this.#closing !== undefined) return "DRAINING";
    return this.#readiness.live ? "LIVE" : "PRE_INITIALIZING";
  }

  async #drain(): Promise<void> {
    await this.#traffic?.drain();
  }

  async #close(): Promise<void> {
    this.#readiness.close();
    await this.#traffic?.close();
    this.#owned[Symbol.dispose]();
    await this.#cache.flush();
  }

  #mustBeOpen(): TrafficAddresses & LocalServers {
    if (this.#open === undefined) {
      throw new MeshError("internal", "PROXY_NOT_STARTED", "the sidecar's listeners are not open yet");
    }
    return this.#open;
  }
}
