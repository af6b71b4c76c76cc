import { networkInterfaces } from "node:os";

import { Backoff, MeshError, type Clock, type Disposable, type Logger, type Timer } from "@tulle/base";
import { INBOUND_LISTENER, type SnapshotSource } from "@tulle/engine";

import type { GatewayOptions, ListenAddress } from "../options.js";
import type { HttpListener } from "../listener/outbound-listener.js";
import { isUnspecified } from "../listener/plain-address.js";
import { ProxyHeaderGate } from "../listener/proxy-header-gate.js";
import { refusals, type ListenTcp } from "../listener/tcp-listener.js";
import type { Counter, MetricsRegistry } from "../telemetry/metrics.js";
import { drainConnections } from "../lifecycle/drain.js";
import { GatewayAcceptor, serversOf, type GatewayAcceptorOptions } from "./gateway-acceptor.js";
import { ServerContexts } from "./server-contexts.js";

/** Ports that cannot be opened are tried again after. */
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;

export interface GatewayPortsOptions extends Omit<
  GatewayAcceptorOptions,
  "port" | "gate" | "contexts" | "refused"
> {
  readonly configuration: SnapshotSource;
  readonly gateway: GatewayOptions;
  /** Address that ports are opened on where their Gateway says none; undefined = every address. */
  readonly host: string | undefined;
  readonly proxyProtocolFrom: readonly string[] | undefined;
  readonly drainMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly dropped: Counter;
  readonly listen: ListenTcp;
}

/** A port that is open. */
interface OpenPort extends HttpListener {
  readonly port: number;
  readonly acceptor: GatewayAcceptor;
}

/**
 * Opens the ports that Gateways say and closes those that they do not say any more, without touching the others. A port that
 * cannot be opened is tried again.
 */
export class GatewayPorts implements Disposable {
  readonly #options: GatewayPortsOptions;
  readonly #contexts: ServerContexts;
  readonly #gate: ProxyHeaderGate;
  readonly #open = new Map<string, OpenPort>();
  readonly #backoff = new Backoff({ baseMs: RETRY_MIN_MS, maxMs: RETRY_MAX_MS }, () => 1);
  readonly #refused;
  readonly #failed;
  #following: Promise<void> = Promise.resolve();
  #retry: Timer | undefined;
  #closed = false;

  constructor(options: GatewayPortsOptions) {
    this.#options = options;
    const { metrics, configuration, proxyProtocolFrom, connection } = options;
    this.#contexts = new ServerContexts(options);
    this.#gate = new ProxyHeaderGate(proxyProtocolFrom, configuration, connection.coarseWheel);
    this.#refused = metrics.counter(
      "tulle_gateway_refused_total",
      "Connections to the gateway refused, by reason.",
    );
    this.#failed = metrics
      .counter("tulle_gateway_port_failures_total", "Ports of Gateways that could not be opened.")
      .with([]);
  }

  /** Those that are open, by port. */
  get listeners(): readonly HttpListener[] {
    return [...this.#open.values()].sort((a, b) => a.port - b.port);
  }

  /** The configuration may be another one. */
  follow(): void {
    if (this.#closed) return;
    this.#contexts.onConfigurationChanged();
    this.#contexts.keepOnly(serversOf(this.#options.configuration, INBOUND_LISTENER));
    this.#following = this.#following.then(() => this.#reconcile());
  }

  /** Resolves once what `follow` has seen is done. Never rejects. */
  caughtUp(): Promise<void> {
    return this.#following;
  }

  /** Takes no more connections and lets those that are open finish. */
  async drain(): Promise<void> {
    this.#closed = true;
    this.#retry?.[Symbol.dispose]();
    const { drainMs, clock } = this.#options;
    await Promise.all(
      [...this.#open.values()].map((port) => {
        port.stopAccepting();
        return drainConnections(port.connections, drainMs, clock);
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#retry?.[Symbol.dispose]();
    for (const port of this.#open.values()) {
      port.stopAccepting();
      port.connections.destroy();
      port.acceptor[Symbol.dispose]();
    }
    this.#open.clear();
    this.#contexts[Symbol.dispose]();
  }

  async #reconcile(): Promise<void> {
    const listener = this.#options.configuration.current.inbound(INBOUND_LISTENER);
    // What a new configuration refers to has not come yet: what is open goes on.
    if (this.#closed || listener?.warm === false) return;
    const wanted = new Map((listener?.addresses ?? []).map((address) => [keyOf(address), address]));
    for (const [key, port] of this.#open) if (!wanted.has(key)) this.#closePort(key, port);
    let failed = false;
    for (const [key, address] of wanted) {
      if (this.#open.has(key)) continue;
      failed = !(await this.#openPort(key, address)) || failed;
      if (this.#isClosed()) return;
    }
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
    if (!failed) this.#backoff.reset();
    else
      this.#retry = this.#options.clock.setTimeout(() => this.follow(), this.#backoff.next(), {
        keepAlive: false,
      });
  }

  /** Asked again after every wait. */
  #isClosed(): boolean {
    return this.#closed;
  }

  async #openPort(key: string, address: ListenAddress): Promise<boolean> {
    const { gateway, listen, connection, dropped, logger, host } = this.#options;
    const { port } = address;
    const acceptor = new GatewayAcceptor({
      ...this.#options,
      contexts: this.#contexts,
      gate: this.#gate,
      refused: this.#refused,
      port,
    });
    const name = `gateway ${port}`;
    try {
      const tcp = await listen({
        name,
        host: isUnspecified(address.host) ? (host ?? anyAddress()) : address.host,
        port: gateway.portMap?.[port] ?? port,
        ...refusals(connection, name, dropped),
        onConnection: (socket) => acceptor.accept(socket),
      });
      const stopAccepting = (): void => {
        tcp.stopAccepting();
        acceptor.dropSilent();
      };
      if (this.#isClosed()) stopAccepting();
      else {
        const { connections } = acceptor;
        const protocol = (): string => this.#protocolOf(port);
        this.#open.set(key, {
          name,
          tcp,
          connections,
          protocol,
          learntAs: name,
          stopAccepting,
          port,
          acceptor,
        });
        logger.info("a port of a Gateway is open", { port, address: tcp.address });
      }
      return true;
    } catch (thrown) {
      acceptor[Symbol.dispose]();
      this.#failed.inc();
      logger.error("a port of a Gateway cannot be opened; trying again", {
        port,
        error: MeshError.from(thrown),
      });
      return false;
    }
  }

  #closePort(key: string, port: OpenPort): void {
    const { drainMs, clock, logger } = this.#options;
    this.#open.delete(key);
    port.stopAccepting();
    logger.info("no Gateway says a port any more: it is closed", { port: port.port });
    void drainConnections(port.connections, drainMs, clock).then(() => port.acceptor[Symbol.dispose]());
  }

  #protocolOf(port: number): string {
    const chains = this.#options.configuration.current.inbound(INBOUND_LISTENER)?.chains ?? [];
    const own = chains.filter(({ destinationPort }) => destinationPort === port);
    const protocols = (["http", "tcp"] as const).filter((protocol) => own.some((chain) => chain[protocol]));
    return protocols.join(",") || "unknown";
  }
}

function keyOf({ host, port }: ListenAddress): string {
  return `${host} ${port}`;
}

function anyAddress(): string {
  const isIpv6 = ({ family }: { readonly family: string }): boolean => family === "IPv6";
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(isIpv6)) ? "::" : "0.0.0.0";
}
