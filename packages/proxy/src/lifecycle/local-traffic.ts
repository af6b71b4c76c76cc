import { randomFillSync } from "node:crypto";

import { delay, DisposableStack, MeshError } from "@tulle/base";
import type { LoadTable, SnapshotSource } from "@tulle/engine";

import { systemLookUp } from "../dns/system-lookup.js";
import { OutsideHosts } from "../listener/outside-hosts.js";
import { inheriting, listenTcp, type ListenTcp } from "../listener/tcp-listener.js";
import { parseLimits, ProxyLimits } from "../limits/proxy-limits.js";
import { refusingUnderOverload } from "../overload/refused-connections.js";
import type { ObservationAction, TrafficReport } from "../observed/contract.js";
import { explainRecord, type RecordAnswer } from "../records/record-answer.js";
import type { HttpListener } from "../listener/outbound-listener.js";
import type { SidecarHandover } from "../options.js";
import { buildStack, type ProxyStack } from "../stack.js";
import { createRequestIds } from "../stream/request-ids.js";
import { openLineWriter } from "../telemetry/line-writer.js";
import { nodeId, workloadName } from "../xds/node.js";
import type { CapturedTraffic } from "./captured-traffic.js";
import { drainConnections, RETIRING_IDLE_MS } from "./drain.js";
import { drainMsOf, openListeners, trafficPorts, type Listeners } from "./listeners.js";
import type { ListenerStatus, Traffic, TrafficAddresses, TrafficParts, TrafficPorts } from "./traffic.js";

export interface LocalTrafficParts extends TrafficParts {
  readonly load: LoadTable;
  readonly configuration: SnapshotSource;
  readonly captured: CapturedTraffic;
  /** How listeners are opened; default: with a port of their own. */
  readonly listen?: ListenTcp;
}

/** What was accepted last has said by then what it is. */
const SETTLING_MS = 1000;

/** Carries traffic in this thread. */
export class LocalTraffic implements Traffic {
  readonly #parts: LocalTrafficParts;
  readonly #owned = new DisposableStack();
  readonly #stack: ProxyStack;
  #listeners: Listeners | undefined;

  constructor(parts: LocalTrafficParts) {
    this.#parts = parts;
    this.#stack = this.#owned.use(this.#buildStack());
  }

  async open(ports: TrafficPorts = trafficPorts(this.#parts.options)): Promise<TrafficAddresses> {
    const interceptors = await this.#parts.captured.interceptors(this.#parts.configuration, this.#owned);
    const { inherited } = this.#parts.options;
    const { listen = inherited === undefined ? listenTcp : inheriting(inherited), ...parts } = this.#parts;
    this.#listeners = await openListeners(
      {
        ...parts,
        ports,
        stack: this.#stack,
        listen: refusingUnderOverload(listen, this.#stack.overload, parts.metrics),
        interceptors,
        outside: this.#outside(),
      },
      this.#owned,
    );
    const { upstreams, outbound, inbound } = this.#listeners;
    return {
      upstreams: upstreams.map(({ tcp }) => tcp.address),
      ...(outbound !== undefined && { outbound: outbound.tcp.address }),
      ...(inbound !== undefined && { inbound: inbound.tcp.address }),
    };
  }

  onConfigurationChanged(): void {
    this.#stack.onConfigurationChanged();
    this.#listeners?.gateway?.follow();
  }

  async caughtUp(): Promise<void> {
    await this.#listeners?.gateway?.caughtUp();
  }

  async listeners(): Promise<readonly ListenerStatus[]> {
    const { upstreams, outbound, outboundIpv6, inbound, gateway } = this.#mustListen();
    const own = [inbound, outbound, outboundIpv6].filter((listener) => listener !== undefined);
    const all = [...own, ...(gateway?.listeners ?? []), ...upstreams];
    const names = new Set(all.map(({ learntAs }) => learntAs));
    const learnt = this.#stack.tcp.detection.ports.all();
    return all.map((listener) => ({
      name: listener.name,
      address: listener.tcp.address,
      connections: listener.connections.size,
      protocol: listener.protocol(),
      learnt: learnt.filter(({ port }) =>
        listener.learntAs === "" ? !names.has(port) : port === listener.learntAs,
      ),
    }));
  }

  async collect(): Promise<void> {}

  setLogLevel(): void {}

  async observe(action: ObservationAction): Promise<TrafficReport> {
    return this.#stack.observer.act(action);
  }

  async recordsOf(requestId: string): Promise<readonly RecordAnswer[]> {
    const { configuration, load, clock } = this.#parts;
    const present = { snapshot: configuration.current, load, now: clock.monotonic() };
    return this.#stack.records.find(requestId).map((found) => explainRecord(found, present));
  }

  async drain(): Promise<void> {
    const { options, clock } = this.#parts;
    const { inbound, gateway } = this.#mustListen();
    await gateway?.drain();
    if (inbound === undefined) return;
    inbound.stopAccepting();
    await drainConnections(inbound.connections, drainMsOf(options), clock);
  }

  get handover(): SidecarHandover | undefined {
    const { inbound, outbound, outboundIpv6, upstreams, gateway } = this.#mustListen();
    if (gateway !== undefined) return undefined;
    const all = [...upstreams, outbound, outboundIpv6, inbound].filter((each) => each !== undefined);
    const sockets = new Map(
      all.flatMap(({ name, tcp }) => (tcp.handle === undefined ? [] : [[name, tcp.handle] as const])),
    );
    // Two of one name could not be told apart.
    if (sockets.size < all.length) return undefined;
    return {
      sockets,
      retire: (drainMs) => this.#retire(all, drainMs),
    };
  }

  async #retire(listeners: readonly HttpListener[], drainMs: number): Promise<void> {
    const { clock } = this.#parts;
    // Not the listeners' own way, which would cut those that have said nothing yet: they were just accepted.
    for (const { tcp } of listeners) tcp.leave();
    await delay(clock, SETTLING_MS);
    await Promise.all(
      listeners.map(({ connections }) => drainConnections(connections, drainMs, clock, RETIRING_IDLE_MS)),
    );
  }

  async close(): Promise<void> {
    this.#owned[Symbol.dispose]();
  }

  #outside(): OutsideHosts | undefined {
    const { options, captured, clock, metrics } = this.#parts;
    if (options.gateway !== undefined) return undefined;
    const { parking } = this.#stack.tcp;
    const wake = (): void => parking.wake();
    return this.#owned.use(
      new OutsideHosts({ clock, metrics, policy: captured.policy, lookUp: systemLookUp, wake }),
    );
  }

  #buildStack(): ProxyStack {
    const { options, clock, metrics, tls } = this.#parts;
    const lost = metrics
      .counter("tulle_access_log_dropped_total", "Access log lines dropped because the log is stuck.")
      .with([]);
    const accessLog = openLineWriter(options.accessLog ?? "stdout", clock, lost);
    if (accessLog !== undefined) this.#owned.use(accessLog);
    return buildStack({
      limits: new ProxyLimits(parseLimits(options.limits ?? [])),
      ...this.#parts,
      accessLog,
      nodeId: nodeId(options),
      proxyStatus: options.proxyStatus ?? true,
      ...(options.recordPercent === undefined ? {} : { recordPercent: options.recordPercent }),
      workload: {
        workload: workloadName(options),
        namespace: options.namespace ?? "default",
        canonicalName: options.service,
        canonicalRevision: options.labels?.["version"] ?? "latest",
        principal: () => tls.svid?.spiffeId ?? "",
      },
      newRequestId: createRequestIds(randomFillSync),
      onBusy: options.onBusy,
    });
  }

  #mustListen(): Listeners {
    if (this.#listeners === undefined) {
      throw new MeshError("internal", "PROXY_NOT_STARTED", "the sidecar's listeners are not open yet");
    }
    return this.#listeners;
  }
}
