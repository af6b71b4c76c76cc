import type { TryOutcome } from "./try-log.js";

/**
 * What a proxy keeps of one exchange, so that it can be said later why it went as it did. Plain data, at most 1 KiB as
 * JSON: long values are cut (they end in `…`), and fields of the head are left out when there is no room.
 */
export interface DecisionRecord {
  readonly requestId: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly time: number;
  readonly durationMs: number;
  readonly direction: "inbound" | "outbound";
  /** Why it is kept: failures all are, and what took more than one try; other successes are sampled. */
  readonly kept: "failed" | "retried" | "sampled";
  /** What chance was drawn from. */
  readonly entropy: number;
  /** Sequence number of the configuration that the route was chosen with; 0 when none was. */
  readonly snapshot: number;
  /** Versions of the xDS resources that decided; empty when they had changed before the exchange ended. */
  readonly versions: {
    readonly listener?: string;
    readonly routes?: string;
    readonly cluster?: string;
    readonly endpoints?: string;
  };
  readonly request: {
    readonly method: string;
    readonly authority: string;
    /** With its query; values that are secrets by their names are left out. */
    readonly path: string;
    readonly scheme: "http" | "https";
    readonly protocol: string;
    /** `[name, value, …]`; values that are secrets read `<redacted>`. */
    readonly headers: readonly string[];
    /** Fields that found no room. */
    readonly omittedHeaders: number;
  };
  /** `host:port` of the listener's end and of the client's, the client's SPIFFE id and the SNI of its connection, "" without. */
  readonly local: string;
  readonly remote: string;
  readonly principal: string;
  readonly serverName: string;
  /** Name of the listener or chain; "" when there was none. */
  readonly listener: string;
  readonly route: string;
  /** Object and rule that the route comes from. */
  readonly owner: { readonly config: string; readonly rule: string };
  readonly cluster: string;
  readonly tries: readonly RecordedTry[];
  /** Tries made: `tries` may have fewer. */
  readonly attempts: number;
  readonly response: {
    /** 0 = none was sent. */
    readonly status: number;
    /** Envoy's response flags. */
    readonly flags: string;
    /** Envoy's RESPONSE_CODE_DETAILS. */
    readonly details: string;
    /** -1 when the call was not gRPC, or its end is not known. */
    readonly grpcStatus: number;
    /** System error code, TLS reason or codec message; "" when there is none. */
    readonly transportFailure: string;
  };
}

/** One try to get an answer from an endpoint. */
export interface RecordedTry {
  /** `host:port` */
  readonly endpoint: string;
  /** Since the exchange began, milliseconds. */
  readonly at: number;
  /** Until the response's head, or the end of a try without one. */
  readonly ms: number;
  readonly outcome: TryOutcome | "";
  /** Of the response's head; 0 without one. */
  readonly status: number;
  readonly detail: string;
}
