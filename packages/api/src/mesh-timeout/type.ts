import type { KumaOutboundPolicySpec } from "../kuma/type.js";

/** Times of calls, in Kuma's vocabulary (`MeshTimeout`). Everything here is valid. */
export type MeshTimeoutSpec = KumaOutboundPolicySpec<MeshTimeout>;

/** Go durations; `0s` means none. */
export interface MeshTimeout {
  /** For a connection to be made; above 0. */
  readonly connectionTimeout?: string;
  /** Without a byte on a connection. */
  readonly idleTimeout?: string;
  readonly http?: {
    /** From the request's end to the answer's. */
    readonly requestTimeout?: string;
    /** Without a byte of a request or its answer. */
    readonly streamIdleTimeout?: string;
    readonly maxStreamDuration?: string;
    readonly maxConnectionDuration?: string;
    /** Not carried out: limits of clients are said when a sidecar is started. */
    readonly requestHeadersTimeout?: string;
  };
}
