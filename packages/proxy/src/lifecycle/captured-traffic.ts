import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";

import type { Clock, DisposableStack, Logger } from "@tulle/base";
import { createSnapshotSource, type SlotTable, type SnapshotSource } from "@tulle/engine";

import type { DnsListener } from "../dns/dns-server.js";
import { Names } from "../dns/names.js";
import { parseResolvConf, type SystemResolver } from "../dns/resolv-conf.js";
import type { InboundInterception } from "../listener/inbound-interception.js";
import type { Interception } from "../listener/interception.js";
import { OutboundPolicy } from "../listener/outbound-policy.js";
import type { OwnListeners } from "../listener/own-listeners.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import {
  nameTableResource,
  SidecarConfiguration,
  virtualOutboundResource,
} from "../xds/sidecar-configuration.js";
import { trafficHosts } from "./listeners.js";
import { localPorts } from "./local-ports.js";
import type { TrafficOptions } from "./traffic.js";

/** Istio's. */
const DNS_PORT = 15_053;
const RESOLV_CONF = "/etc/resolv.conf";

interface CapturedTrafficParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** In how many parts chance is drawn. */
const CHANCES = 1_000_000;

/** What the listeners need to take redirected connections. */
export interface Interceptors {
  readonly outbound: Interception;
  readonly inbound: InboundInterception;
  /** The listeners for traffic are added as they open. */
  readonly own: OwnListeners;
}

/**
 * What a sidecar does for applications that know nothing of it: answers their DNS with virtual IPs, and takes the
 * connections that rules of the kernel redirect to it. Either is loaded only where it is asked for.
 */
export class CapturedTraffic {
  readonly #options: TrafficOptions;
  readonly #parts: CapturedTrafficParts;
  readonly #names: Names;
  readonly #policy: OutboundPolicy;
  readonly #dnsPort: number | undefined;

  constructor(options: TrafficOptions, parts: CapturedTrafficParts) {
    this.#options = options;
    this.#parts = parts;
    this.#names = new Names(options.namespace ?? "default");
    this.#policy = new OutboundPolicy(options.intercept === true && options.failOpen === true);
    this.#dnsPort = options.ports?.dns ?? (options.intercept === true ? DNS_PORT : undefined);
  }

  /** What becomes of connections to unknown destinations. */
  get policy(): OutboundPolicy {
    return this.#policy;
  }

  /** The sidecar's configuration, with what this part of it needs. */
  configuration(load: SlotTable): SidecarConfiguration {
    return new SidecarConfiguration(createSnapshotSource({ load, resolvesNames: true }), [
      ...(this.#dnsPort === undefined ? [] : [nameTableResource(this.#names)]),
      ...(this.#options.gateway === undefined
        ? [virtualOutboundResource(this.#policy, this.#options.intercept === true)]
        : []),
    ]);
  }

  /** Opens the DNS listeners, one for each host, on one port; undefined when the sidecar has none. */
  async dnsOpener(): Promise<((hosts: readonly string[]) => Promise<readonly DnsListener[]>) | undefined> {
    const port = this.#dnsPort;
    if (port === undefined) return undefined;
    const [{ listenDns }, { createResolver }, { Forwarder }, { DnsFaults }] = await Promise.all([
      import("../dns/dns-server.js"),
      import("../dns/resolver.js"),
      import("../dns/forwarder.js"),
      import("../dns/dns-faults.js"),
    ]);
    const { clock, logger, metrics } = this.#parts;
    const faults = new DnsFaults(clock, () => randomInt(CHANCES) / CHANCES, metrics);
    const { inherited } = this.#options;
    const system = await this.#systemResolver();
    return async (hosts) => {
      const servers = system.servers.filter((server) => !hosts.includes(server.host) || server.port !== port);
      const forwarder = new Forwarder({ servers, clock, newId: () => randomInt(65_536) });
      const resolve = createResolver({
        names: this.#names,
        search: system.search,
        faults,
        forward: (message, query, transport) => forwarder.ask(message, query, transport),
      });
      const isOwn = (from: number): boolean => forwarder.owns(from);
      const listeners: DnsListener[] = [];
      try {
        for (const host of hosts) {
          const same = listeners[0]?.address.port ?? port;
          listeners.push(await listenDns({ host, port: same, resolve, isOwn, logger, inherited }));
        }
      } catch (thrown) {
        for (const listener of listeners) listener[Symbol.dispose]();
        throw thrown;
      }
      return listeners;
    };
  }

  /** What sorts redirected connections; undefined without interception. Rejects with `PROXY_NO_ORIGINAL_DST`. */
  async interceptors(
    configuration: SnapshotSource,
    owner: DisposableStack,
  ): Promise<Interceptors | undefined> {
    if (this.#options.intercept !== true) return undefined;
    const [outbound, inbound, { OwnListeners: Own }, { loadOriginalDestination }] = await Promise.all([
      import("../listener/interception.js"),
      import("../listener/inbound-interception.js"),
      import("../listener/own-listeners.js"),
      import("../listener/original-destination.js"),
    ]);
    const own = new Own();
    // What the main thread serves. Free ports are not known here; on loopback nobody is redirected to them anyway.
    const { local, localIpv6 = local } = trafficHosts(this.#options);
    const { admin, metrics, readiness } = localPorts(this.#options);
    for (const port of [admin, metrics, readiness, this.#dnsPort ?? 0]) {
      if (port !== 0) for (const host of [local, localIpv6]) own.add({ host, port });
    }
    const parts = { ...this.#parts, own, originalDestination: await loadOriginalDestination() };
    return {
      own,
      outbound: owner.use(new outbound.Interception({ ...parts, names: this.#names, policy: this.#policy })),
      inbound: new inbound.InboundInterception({ ...parts, configuration }),
    };
  }

  async #systemResolver(): Promise<SystemResolver> {
    const { dnsServers } = this.#options;
    let text = "";
    try {
      text = await readFile(RESOLV_CONF, "utf8");
    } catch (error) {
      this.#parts.logger.warn(`${RESOLV_CONF} cannot be read: names outside of the mesh do not resolve`, {
        error,
      });
    }
    const system = parseResolvConf(text);
    return dnsServers === undefined ? system : { ...system, servers: dnsServers };
  }
}
