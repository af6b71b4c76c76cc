import type { ProxyName } from "../request-story/type.js";

/** What connected proxies observed, as the control plane tells it. Reports come from proxies: read them with `readTraffic`. */
export interface ObservedTraffic {
  readonly proxies: readonly { readonly proxy: ProxyName; readonly report: object }[];
  /** Proxies that did not answer. */
  readonly silent: readonly { readonly proxy: string; readonly reason: string }[];
}

/** What one proxy observed. */
export interface ProxyTraffic {
  readonly proxy: ProxyName;
  /** Milliseconds since the epoch; 0 = it does not observe. */
  readonly since: number;
  /** False: it could not keep all of it. */
  readonly complete: boolean;
  readonly inbound: readonly TrafficEdge[];
  /** Full hosts of the services that the workload called. */
  readonly calls: readonly string[];
}

/** What one caller asked of a port of the workload. */
export interface TrafficEdge {
  /** SPIFFE id; "" = in plaintext. */
  readonly source: string;
  /** Full host. */
  readonly service: string;
  /** Where the application listens. */
  readonly port: number;
  /** `path` is one path, a template with `{*}`, or "" for any. */
  readonly requests: readonly { readonly method: string; readonly path: string; readonly count: number }[];
  /** Connections that carried bytes. */
  readonly connections: number;
}
