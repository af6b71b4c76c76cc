import { randomInt } from "node:crypto";

import { connectControlPlane, type JoiningIdentity } from "@tulle/agent";
import { DisposableStack, MeshError, type Clock, type Logger } from "@tulle/base";
import { createLoadTable, createSharedLoadTable, type SharedSlotOwner, type SlotTable } from "@tulle/engine";
import { LISTENER_TYPE } from "@tulle/xds";

import { adminEndpoints, type ServerState } from "../admin/admin-endpoints.js";
import { text, type Endpoint } from "../admin/http-endpoints.js";
import { INBOUND_LISTENER } from "../listener/inbound-source.js";
import type { Sidecar, SidecarOptions } from "../options.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { addProcessMetrics } from "../telemetry/process-metrics.js";
import { WorkloadTls } from "../tls/workload-tls.js";
import { AdsClient } from "../xds/ads-client.js";
import { ConfigCache } from "../xds/config-cache.js";
import { Demand, DEMAND_SWEEP_MS } from "../xds/demand.js";
import { nodeId, nodeMetadata } from "../xds/node.js";
import { VIRTUAL_OUTBOUND, type SidecarConfiguration } from "../xds/sidecar-configuration.js";
import { CapturedTraffic } from "./captured-traffic.js";
import { upstreamEnvironment } from "./environment.js";
import { LocalTraffic } from "./local-traffic.js";
import { openLocalServers, type LocalServers } from "./local-servers.js";
import type { Traffic, TrafficAddresses } from "./traffic.js";

const VERSION = "0.1.0";
/** Services named by requests are dropped after ten minutes without one. */
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
  readonly failed: Promise<never>;
  readonly #options: SidecarOptions;
  readonly #parts: SidecarParts;
  readonly #owned = new DisposableStack();
  readonly #metrics = new MetricsRegistry();
  /** Undefined unless several threads carry traffic. */
  readonly #sharedLoad: SharedSlotOwner | undefined;
  readonly #load: SlotTable;
  readonly #captured: CapturedTraffic;
  readonly #configuration: SidecarConfiguration;
  readonly #demand = new Demand(DEMAND_KEEP_SWEEPS);
  readonly #tls: WorkloadTls;
  readonly #cache: ConfigCache;
  /** Listeners that are always subscribed to. */
  readonly #fixedNames: ReadonlySet<string>;
  readonly #startedAtMs: number;
  #traffic: Traffic | undefined;
  #open: (TrafficAddresses & LocalServers) | undefined;
  #ads: AdsClient | undefined;
  #live = false;
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #settleReady: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #quit: () => void = () => undefined;
  #fail: (error: MeshError) => void = () => undefined;

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
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failed.catch((error: unknown) => this.#settleReady?.reject(error));
    this.quitRequested = new Promise((resolve) => {
      this.#quit = resolve;
    });

    const seed = randomInt(2 ** 32);
    if ((options.workers ?? 1) > 1) this.#sharedLoad = createSharedLoadTable({ seed });
    this.#load = this.#sharedLoad ?? createLoadTable({ seed });
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
  }

  get addresses(): Sidecar["addresses"] {
    const { outbound, inbound, admin, metrics, readiness, upstreams, dns } = this.#mustBeOpen();
    return {
      ...(dns === undefined ? {} : { dns: dns.address }),
      outbound,
      inbound,
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

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Opens the listeners and, once there is an identity, the stream to the control plane. */
  async start(): Promise<void> {
    const { clock, identity, logger } = this.#parts;
    await this.#loadConfiguration();
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
        void this.#checkReady();
      },
      (error: unknown) => {
        if (this.#closing === undefined) logger.error("this sidecar gets no identity", { error });
        this.#settleReady?.reject(error);
      },
    );
  }

  async #createTraffic(): Promise<Traffic> {
    const { logger, clock } = this.#parts;
    const parts = {
      options: this.#options,
      clock,
      logger,
      metrics: this.#metrics,
      configuration: this.#configuration,
      tls: this.#tls,
      onDemand: (authority: string) => {
        if (!this.#fixedNames.has(authority) && this.#demand.add(authority)) this.#ads?.refresh();
      },
      onUse: (authority: string) => this.#demand.touch(authority),
    };
    const load = this.#sharedLoad;
    if (load === undefined) return new LocalTraffic({ ...parts, load: this.#load, captured: this.#captured });
    const [{ WorkerTraffic }, { spawnWorker }] = await Promise.all([
      import("../workers/worker-traffic.js"),
      import("../workers/spawn-worker.js"),
    ]);
    return new WorkerTraffic({ ...parts, load, spawn: spawnWorker, onFailure: this.#fail });
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
          metadata: nodeMetadata(this.#options, this.#mustBeOpen().admin.address),
        },
        configuration: this.#configuration,
        roots: () => this.#roots(),
        onChanged: () => {
          this.#traffic?.onConfigurationChanged();
          this.#cache.touch();
          void this.#checkReady();
        },
        clock,
        random,
        logger,
        metrics: this.#metrics,
      }),
    );
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
      tls: this.#tls,
      version: VERSION,
      startedAtMs: this.#startedAtMs,
      workers: this.#options.workers ?? 1,
      node: () => ({
        id: nodeId(this.#options),
        user_agent_name: "tulle",
        metadata: nodeMetadata(this.#options, this.#mustBeOpen().admin.address),
      }),
      state: () => this.#state(),
      ads: () => this.#ads?.status() ?? { connected: false, lastError: "", types: new Map() },
      listeners: () => traffic.listeners(),
      setLogLevel: (level) => traffic.setLogLevel(level),
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

  async #checkReady(): Promise<void> {
    if (this.#live || !this.#hasAll()) return;
    await this.#traffic?.caughtUp();
    if (this.#live || this.#closing !== undefined) return;
    this.#live = true;
    this.#parts.logger.info("sidecar is ready", { service: this.#options.service });
    this.#settleReady?.resolve();
  }

  /** An identity, the inbound listener where ports are served, and an answer about every upstream. */
  #hasAll(): boolean {
    if (this.#tls.svid === undefined || !this.#configuration.complete) return false;
    const snapshot = this.#configuration.current;
    if (this.#options.inbound.length > 0 && snapshot.inbound(INBOUND_LISTENER) === undefined) return false;
    for (const name of this.#fixedNames) {
      if (name === INBOUND_LISTENER) continue;
      const chain = snapshot.outbound(name);
      // Null is an answer: the service does not exist yet, and requests to it are told so.
      if (chain === undefined || chain?.warm === false) return false;
    }
    return true;
  }

  async #drain(): Promise<void> {
    await this.#traffic?.drain();
  }

  async #close(): Promise<void> {
    this.#settleReady?.reject(
      new MeshError("canceled", "PROXY_CLOSED", "the sidecar was closed before it was ready"),
    );
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
