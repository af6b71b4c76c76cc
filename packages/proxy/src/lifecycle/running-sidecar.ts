import { randomFillSync, randomInt } from "node:crypto";

import { connectControlPlane, type JoiningIdentity } from "@tulle/agent";
import { DisposableStack, MeshError, type Clock, type Logger } from "@tulle/base";
import { createLoadTable } from "@tulle/engine";
import { LISTENER_TYPE } from "@tulle/xds";

import { adminEndpoints, type ServerState } from "../admin/admin-endpoints.js";
import { text, type Endpoint } from "../admin/http-endpoints.js";
import { INBOUND_LISTENER } from "../listener/inbound-source.js";
import type { Sidecar, SidecarOptions } from "../options.js";
import { createRequestIds } from "../stream/request-ids.js";
import { VIRTUAL_OUTBOUND, type SidecarConfiguration } from "../xds/sidecar-configuration.js";
import { buildStack, type ProxyStack } from "../stack.js";
import { openLineWriter } from "../telemetry/line-writer.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { addProcessMetrics } from "../telemetry/process-metrics.js";
import { WorkloadTls } from "../tls/workload-tls.js";
import { AdsClient } from "../xds/ads-client.js";
import { ConfigCache } from "../xds/config-cache.js";
import { Demand } from "../xds/demand.js";
import { nodeId, nodeMetadata, workloadName } from "../xds/node.js";
import { CapturedTraffic } from "./captured-traffic.js";
import { drainConnections } from "./drain.js";
import { upstreamEnvironment } from "./environment.js";
import { openListeners, type Listeners } from "./listeners.js";

const VERSION = "0.1.0";
const DEFAULT_DRAIN_MS = 5000;
/** Services named by requests are dropped after ten minutes without one. */
const DEMAND_SWEEP_MS = 60_000;
const DEMAND_KEEP_SWEEPS = 10;

/** What a sidecar is given beside its options. */
export interface SidecarParts {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly identity: JoiningIdentity;
  readonly trustDomain: string;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
}

/** The parts of a sidecar and how they begin and end. */
export class RunningSidecar implements Sidecar {
  readonly ready: Promise<void>;
  readonly quitRequested: Promise<void>;
  readonly #options: SidecarOptions;
  readonly #parts: SidecarParts;
  readonly #owned = new DisposableStack();
  readonly #metrics = new MetricsRegistry();
  readonly #load = createLoadTable({ seed: randomInt(2 ** 32) });
  readonly #captured: CapturedTraffic;
  readonly #configuration: SidecarConfiguration;
  readonly #demand = new Demand(DEMAND_KEEP_SWEEPS);
  readonly #tls: WorkloadTls;
  readonly #stack: ProxyStack;
  readonly #cache: ConfigCache;
  /** Listeners that are always subscribed to. */
  readonly #fixedNames: ReadonlySet<string>;
  readonly #startedAtMs: number;
  #listeners: Listeners | undefined;
  #ads: AdsClient | undefined;
  #live = false;
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #settleReady: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #quit: () => void = () => undefined;

  constructor(options: SidecarOptions, parts: SidecarParts) {
    const { clock, logger, identity } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#startedAtMs = clock.now();
    this.#fixedNames = new Set([
      INBOUND_LISTENER,
      ...options.upstreams.map(({ authority }) => authority.toLowerCase()),
    ]);
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    // Whoever does not wait for it must not crash by it.
    this.ready.catch(() => undefined);
    this.quitRequested = new Promise((resolve) => {
      this.#quit = resolve;
    });

    this.#captured = new CapturedTraffic(options, { clock, logger, metrics: this.#metrics });
    this.#configuration = this.#captured.configuration(this.#load);
    this.#owned.use(identity);
    this.#tls = this.#owned.use(new WorkloadTls(identity, clock));
    this.#cache = new ConfigCache(
      options.stateDirectory,
      nodeId(options),
      () => this.#configuration.resources(),
      clock,
      logger,
    );
    addProcessMetrics(this.#metrics, clock);
    this.#stack = this.#owned.use(this.#buildStack());
  }

  get addresses(): Sidecar["addresses"] {
    const { outbound, inbound, admin, metrics, readiness, upstreams, dns } = this.#mustListen();
    return {
      ...(dns === undefined ? {} : { dns: dns.address }),
      outbound: outbound.tcp.address,
      inbound: inbound.tcp.address,
      admin: admin.address,
      metrics: metrics.address,
      readiness: readiness.address,
      upstreams: this.#options.upstreams.map(({ authority }, i) => ({
        name: authority,
        host: upstreams[i]?.tcp.address.host ?? "",
        port: upstreams[i]?.tcp.address.port ?? 0,
      })),
    };
  }

  environment(): Record<string, string> {
    const { upstreams } = this.#mustListen();
    return upstreamEnvironment(
      this.addresses.upstreams.map((address, index) => ({
        ...address,
        scheme: upstreams[index]?.protocol() === "tcp" ? "tcp" : "http",
      })),
    );
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Opens the listeners and, once there is an identity, the stream to the control plane. */
  async start(): Promise<void> {
    const { clock, identity, logger } = this.#parts;
    await this.#loadConfiguration();
    this.#listeners = await openListeners(
      {
        options: this.#options,
        configuration: this.#configuration,
        stack: this.#stack,
        tls: this.#tls,
        metrics: this.#metrics,
        logger,
        adminEndpoints: this.#adminEndpoints(),
        readinessEndpoint: this.#readinessEndpoint(),
        onUse: (authority) => this.#demand.touch(authority),
        openDns: await this.#captured.dnsOpener(),
        interception: await this.#captured.interception(this.#owned),
      },
      this.#owned,
    );
    const ads = this.#createAdsClient();
    this.#ads = ads;
    const sweep = (): void => {
      if (this.#demand.sweep()) ads.refresh();
    };
    this.#owned.use(clock.setInterval(sweep, DEMAND_SWEEP_MS, { keepAlive: false }));
    identity.ready().then(
      () => {
        if (this.#closing !== undefined) return;
        ads.connect();
        // A stream lives no longer than the certificate that it began with: begin a new one in time.
        this.#owned.use(identity.onRotated(() => ads.connect()));
        this.#checkReady();
      },
      (error: unknown) => {
        if (this.#closing === undefined) logger.error("this sidecar gets no identity", { error });
        this.#settleReady?.reject(error);
      },
    );
  }

  #buildStack(): ProxyStack {
    const options = this.#options;
    const { clock, logger } = this.#parts;
    const lost = this.#metrics
      .counter("tulle_access_log_dropped_total", "Access log lines dropped because the log is stuck.")
      .with([]);
    const accessLog = openLineWriter(options.accessLog ?? "stdout", clock, lost);
    if (accessLog !== undefined) this.#owned.use(accessLog);
    return buildStack({
      clock,
      logger,
      configuration: this.#configuration,
      load: this.#load,
      tls: this.#tls,
      metrics: this.#metrics,
      accessLog,
      workload: {
        workload: workloadName(options),
        namespace: options.namespace ?? "default",
        canonicalName: options.service,
        canonicalRevision: options.labels?.["version"] ?? "latest",
        principal: () => this.#tls.svid?.spiffeId ?? "",
      },
      newRequestId: createRequestIds(randomFillSync),
      onDemand: (authority) => {
        if (this.#demand.add(authority)) this.#ads?.refresh();
      },
    });
  }

  async #loadConfiguration(): Promise<void> {
    const kept = await this.#cache.load();
    if (kept.length === 0) return;
    for (const { name, message } of this.#configuration.apply(kept)) {
      this.#parts.logger.warn("a resource on disk is not used", { name, message });
    }
    // Services that requests had named are still wanted: nobody should wait for them again.
    for (const { typeUrl, name } of kept) {
      if (typeUrl === LISTENER_TYPE && name !== VIRTUAL_OUTBOUND && !this.#fixedNames.has(name)) {
        this.#demand.add(name);
      }
    }
    this.#forgetUnwanted(kept);
    this.#stack.onConfigurationChanged();
  }

  /** What the kept configuration does not refer to any more is not subscribed to and would grow old. */
  #forgetUnwanted(kept: Iterable<{ readonly typeUrl: string; readonly name: string }>): void {
    const wanted = this.#configuration.wanted(this.#roots());
    for (const { typeUrl, name } of kept) {
      if (wanted.get(typeUrl)?.has(name) !== true) this.#configuration.forget(typeUrl, [name]);
    }
  }

  #roots(): string[] {
    return [...this.#fixedNames, ...this.#demand.names];
  }

  #createAdsClient(): AdsClient {
    const { clock, logger, trustDomain, random } = this.#parts;
    const { controlPlane } = this.#options;
    return this.#owned.use(
      new AdsClient({
        connect: () => {
          const { svid } = this.#tls;
          const rootCertificatePem = svid?.trustBundlePem ?? controlPlane.rootCertificatePem;
          return connectControlPlane(
            { address: controlPlane.xds, rootCertificatePem, trustDomain },
            svid,
            clock,
          );
        },
        node: {
          id: nodeId(this.#options),
          metadata: nodeMetadata(this.#options, this.#mustListen().admin.address),
        },
        configuration: this.#configuration,
        roots: () => this.#roots(),
        onChanged: () => {
          this.#stack.onConfigurationChanged();
          this.#cache.touch();
          this.#checkReady();
        },
        clock,
        random,
        logger,
        metrics: this.#metrics,
      }),
    );
  }

  #adminEndpoints(): readonly Endpoint[] {
    const { clock, logger } = this.#parts;
    return adminEndpoints({
      clock,
      logger,
      metrics: this.#metrics,
      configuration: this.#configuration,
      load: this.#load,
      tls: this.#tls,
      version: VERSION,
      startedAtMs: this.#startedAtMs,
      node: () => ({
        id: nodeId(this.#options),
        user_agent_name: "tulle",
        metadata: nodeMetadata(this.#options, this.#mustListen().admin.address),
      }),
      state: () => this.#state(),
      ads: () => this.#ads?.status() ?? { connected: false, lastError: "", types: new Map() },
      listeners: () => {
        const { upstreams, outbound, inbound } = this.#mustListen();
        return [inbound, outbound, ...upstreams].map((listener) => ({
          name: listener.name,
          address: listener.tcp.address,
          connections: listener.connections.size,
          protocol: listener.protocol(),
        }));
      },
      drain: () => void this.drain(),
      quit: () => this.#quit(),
    });
  }

  #readinessEndpoint(): Endpoint {
    return {
      path: "/healthz/ready",
      method: "GET",
      help: "200 when this sidecar serves",
      handle: () => text(`${this.#state()}\n`, this.#state() === "LIVE" ? 200 : 503),
    };
  }

  #state(): ServerState {
    if (this.#draining !== undefined || this.#closing !== undefined) return "DRAINING";
    return this.#live ? "LIVE" : "PRE_INITIALIZING";
  }

  /** Ready: an identity, the inbound listener where ports are served, and an answer about every upstream. */
  #checkReady(): void {
    if (this.#live || this.#tls.svid === undefined) return;
    if (!this.#configuration.complete) return;
    const snapshot = this.#configuration.current;
    if (this.#options.inbound.length > 0 && snapshot.inbound(INBOUND_LISTENER) === undefined) return;
    for (const name of this.#fixedNames) {
      if (name === INBOUND_LISTENER) continue;
      const chain = snapshot.outbound(name);
      // Null is an answer: the service does not exist yet, and requests to it are told so.
      if (chain === undefined || chain?.warm === false) return;
    }
    this.#live = true;
    this.#parts.logger.info("sidecar is ready", { service: this.#options.service });
    this.#settleReady?.resolve();
  }

  async #drain(): Promise<void> {
    const { inbound } = this.#mustListen();
    inbound.stopAccepting();
    await drainConnections(inbound.connections, this.#options.drainMs ?? DEFAULT_DRAIN_MS, this.#parts.clock);
  }

  async #close(): Promise<void> {
    this.#settleReady?.reject(
      new MeshError("canceled", "PROXY_CLOSED", "the sidecar was closed before it was ready"),
    );
    this.#owned[Symbol.dispose]();
    await this.#cache.flush();
  }

  #mustListen(): Listeners {
    if (this.#listeners === undefined) {
      throw new MeshError("internal", "PROXY_NOT_STARTED", "the sidecar's listeners are not open yet");
    }
    return this.#listeners;
  }
}
