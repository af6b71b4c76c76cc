import type { WorkloadIdentity } from "@tulle/agent";
import type { Clock, Logger } from "@tulle/base";

import type { ApplicationProbe } from "./lifecycle/application-probe.js";

/** One port of the workload that the mesh may call. */
export interface InboundPort {
  /** Service name, e.g. `reviews`. */
  readonly service: string;
  readonly namespace: string;
  /** Port that callers name. */
  readonly servicePort: number;
  /** Port on 127.0.0.1 that the application listens on. */
  readonly appPort: number;
  /** What the application speaks there. What is registered counts more. Default: the first bytes of each connection say. */
  readonly protocol?: "http" | "http2" | "grpc" | "grpc-web" | "tcp" | "tls" | "https";
  /** Version of the PROXY header that tells the application its client. Default: none. */
  readonly proxyProtocol?: 1 | 2;
}

/** One service that the application calls through a loopback listener of its own. */
export interface UpstreamListenerOptions {
  /** As the application would write it: `ratings:9080`, `ratings.default:9080`, `ratings`. Resolved by the control plane. */
  readonly authority: string;
  /** Loopback port; 0 (default) picks a free one. */
  readonly localPort?: number;
  /** Unix socket instead of a port, which its owner alone may use (0600); at most 90 bytes. Not with `workers`. */
  readonly socketPath?: string | undefined;
}

/** Ports of a sidecar; 0 picks a free one. Defaults are Istio's. */
export interface SidecarPorts {
  /** Default 15001. */
  readonly outbound?: number;
  /** Default 15006. */
  readonly inbound?: number;
  /** Default 15000. */
  readonly admin?: number;
  /** Default 15020. */
  readonly metrics?: number;
  /** Default 15021. */
  readonly readiness?: number;
  /** DNS, UDP and TCP. Default: none, 15053 with `intercept`. */
  readonly dns?: number;
}

/** What a gateway is told besides what its Gateways say. */
export interface GatewayOptions {
  /** Where a Gateway's port is really opened: `{443: 8443}`. Default: where the Gateway says. */
  readonly portMap?: Readonly<Record<number, number>>;
  /** Proxies in front of it whose `x-forwarded-for` is believed. Default 0. */
  readonly trustedProxies?: number;
}

/** Where access log lines go: the process' stdout, a file that is appended to, or nowhere. */
export type LogSink = "stdout" | "off" | { readonly file: string };

/** Where a sidecar's identity and configuration come from. */
export interface SidecarControlPlane {
  /** `host:port` of xDS and certificate service. */
  readonly xds: string;
  readonly rootCertificatePem: string;
  /** Default `cluster.local`. */
  readonly trustDomain?: string;
  /** One-time token for the first certificate; not needed while the state directory holds a valid one. */
  readonly joinToken?: string | undefined;
}

/** Everything that {@link runSidecar} needs; the command line maps onto it one to one. */
export interface SidecarOptions {
  /** Service that the workload belongs to; names the workload where nothing better is known. */
  readonly service: string;
  /** Default `default`. */
  readonly namespace?: string;
  /** Default: the service's name. */
  readonly serviceAccount?: string;
  /** Name in metrics, e.g. `reviews-v1`. Default: the service, with `-<version>` when a version is given. */
  readonly workloadName?: string;
  /** Unique among the instances of the mesh: part of the xDS node id. */
  readonly instanceId: string;
  /** Labels of the workload; `version` is its canonical revision. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly inbound: readonly InboundPort[];
  /**
   * Makes it a gateway: in place of the inbound and outbound listeners it opens the ports of the Gateways that select its
   * labels, at `inboundAddress` (default: every address).
   */
  readonly gateway?: GatewayOptions;
  readonly upstreams: readonly UpstreamListenerOptions[];
  readonly ports?: SidecarPorts;
  /** Address of the local listeners (outbound, upstreams, admin, metrics, readiness). Default 127.0.0.1. */
  readonly listenAddress?: string;
  /** Address that the inbound listener binds. Default: the mesh address; with both it and `intercept`, every address. */
  readonly inboundAddress?: string;
  /** Address that other sidecars reach the inbound listener at. Default 127.0.0.1. */
  readonly meshAddress?: string;
  /** A promise where it is not known yet: until then the listeners are open, and nothing is configured. */
  readonly controlPlane: SidecarControlPlane | Promise<SidecarControlPlane>;
  /** Holds the key, the certificate and the last good configuration (0700). Created when missing. */
  readonly stateDirectory: string;
  /** There is traffic, for the first time: some fifty requests a second. Not called with `workers`. */
  readonly onBusy?: () => void;
  /**
   * Threads that carry traffic: 1 = the one that does everything else, too; more = so many beside it, on ports that they
   * share. Needs Linux, and Node.js 22.12 or the optional package koffi. At most 64. Default 1.
   */
  readonly workers?: number;
  /**
   * What a predecessor on this machine listened by, by the listener's name (see `SidecarHandover`): taken over in place of
   * opening ports.
   */
  readonly inherited?: ReadonlyMap<string, object>;
  /** How many sidecars there were of this one before it. Default 0. */
  readonly epoch?: number;
  /** How long exchanges under way may take after `drain()`, milliseconds. Default 5,000. */
  readonly drainMs?: number;
  /** Who is asked for names outside of the mesh. Default: the nameservers of /etc/resolv.conf, at the start. */
  readonly dnsServers?: readonly ListenAddress[];
  /**
   * Whether connections may have been redirected to the outbound and inbound listeners (Linux): each goes to where it was
   * made to. Needs the optional package koffi. Default false.
   */
  readonly intercept?: boolean;
  /**
   * Whether redirected connections of the application go to where they were made to until the first configuration is
   * here: of all times, not since the start. What comes in stays closed. Default false.
   */
  readonly failOpen?: boolean;
  /** Makes `/healthz/ready` say whether the application is ready, too, which it then asks. Default: the sidecar alone. */
  readonly readyIncludesApp?: ApplicationProbe;
  /**
   * Networks (`10.0.0.0/8`, `fd00::1`) of load balancers whose connections in plaintext to the inbound listener begin with
   * a PROXY header, version 1 or 2. Who sends one from elsewhere is refused. Default: none.
   */
  readonly proxyProtocolFrom?: readonly string[];
  /**
   * Limits that are not the default (docs/limits.md), `NAME=VALUE` each: `http1.maxHeadBytes=16384`. A later one wins; they
   * win over what the control plane says for a listener.
   */
  readonly limits?: readonly string[];
  /** Share of the successes that decision records are kept of, percent; failures all are. Default 1. */
  readonly recordPercent?: number;
  /** Whether error answers of the sidecar's own say in Proxy-Status (RFC 9209) what went wrong. Default true. */
  readonly proxyStatus?: boolean;
  /** Default `stdout`. */
  readonly accessLog?: LogSink;
  /** What health checks find out, a line of JSON each; default `off`. */
  readonly healthLog?: LogSink;
  /** Default: JSON lines on stderr, level `info`. */
  readonly logger?: Logger;
  /** Default: the system's clock. */
  readonly clock?: Clock;
}

export interface ListenAddress {
  /** The path of a Unix socket, whose port is 0. */
  readonly host: string;
  readonly port: number;
}

/** How a sidecar gives its place to a successor in another process. */
export interface SidecarHandover {
  /** What it listens by, by the listener's name: for `ChildProcess.send`, and `SidecarOptions.inherited` there. */
  readonly sockets: ReadonlyMap<string, object>;
  /**
   * Call once the successor serves. Leaves the sockets, the control plane and the state directory to it, and finishes what is
   * under way in both directions, `drainMs` at most. Never rejects; `close()` follows.
   */
  readonly retire: (drainMs: number) => Promise<void>;
}

/** A running sidecar. */
export interface Sidecar {
  /** Resolves once there is an identity and every configured listener can serve. Rejects when closed before. */
  readonly ready: Promise<void>;
  /** The workload's, for whatever else speaks for it. */
  readonly identity: WorkloadIdentity;
  readonly addresses: {
    /** Undefined for a gateway, as is `inbound`. */
    readonly outbound?: ListenAddress;
    readonly inbound?: ListenAddress;
    readonly admin: ListenAddress;
    readonly metrics: ListenAddress;
    readonly readiness: ListenAddress;
    /** Undefined without DNS. */
    readonly dns?: ListenAddress;
    /** In the order of the options. `name` is the upstream's authority. */
    readonly upstreams: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  };
  /** Variables for the application: `REVIEWS_URL`, `REVIEWS_SERVICE_HOST`, `REVIEWS_SERVICE_PORT` of each upstream. */
  environment(): Record<string, string>;
  /**
   * Stops taking inbound connections and finishes what is under way, `drainMs` at most. Deregister the service before.
   * The outbound listeners go on serving the application until `close()`. Never rejects; calling it again waits for the first.
   */
  drain(): Promise<void>;
  /** For a successor. Throws `invalid` PROXY_NO_HANDOVER where one cannot take over: gateways, several threads. */
  handover(): SidecarHandover;
  /** Ends every connection and listener, at once. Idempotent. */
  close(): Promise<void>;
  /** Rejects with `internal` PROXY_WORKER_FAILED when the sidecar cannot go on; never resolves. The caller closes it. */
  readonly failed: Promise<never>;
  /** Resolves when somebody asked through `POST /quitquitquit` that the process end. The caller drains and closes. */
  readonly quitRequested: Promise<void>;
}
