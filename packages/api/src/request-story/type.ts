/** A proxy that is connected to the control plane. */
export interface ProxyName {
  /** xDS node id. */
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  /** SPIFFE id, proved. */
  readonly identity: string;
  readonly version: string;
}

/** One try to get an answer from an endpoint. */
export interface RecordedTry {
  /** `host:port` */
  readonly endpoint: string;
  /** Since the exchange began, milliseconds. */
  readonly at: number;
  /** Until the response's head, or the end of a try without one. */
  readonly ms: number;
  /**
   * `answered`, `switched`, `connect-failure`, `connect-timeout`, `overflow`, `closed`, `protocol-error`, `no-upgrade`,
   * `per-try-timeout`, `per-try-idle-timeout`, `abandoned` (nobody waited any more); "" when it was not over.
   */
  readonly outcome: string;
  /** Of the response's head; 0 without one. */
  readonly status: number;
  /** System error code, TLS reason or what was wrong with the bytes; "" when there is none. */
  readonly detail: string;
}

/** What a proxy kept of one exchange. Long values are cut and end in `...`. */
export interface RequestRecord {
  readonly requestId: string;
  /** Milliseconds since the epoch, by the proxy's clock. */
  readonly time: number;
  readonly durationMs: number;
  readonly direction: "inbound" | "outbound";
  /** Why it was kept: it failed, it took more than one try, or it is one of the sample of successes. */
  readonly kept: string;
  /** What chance was drawn from: 32 bits of the request id's hash. */
  readonly entropy: number;
  /** Which configuration decided, counted by the proxy's thread; 0 = none did. */
  readonly snapshot: number;
  /** Versions of the xDS resources that decided; empty when they had changed before the exchange ended. */
  readonly versions: Readonly<Record<string, string>>;
  readonly request: {
    readonly method: string;
    readonly authority: string;
    readonly path: string;
    readonly scheme: string;
    readonly protocol: string;
    /** `[name, value, …]`; values that are secrets read `<redacted>`. */
    readonly headers: readonly string[];
    /** Fields that found no room. */
    readonly omittedHeaders: number;
  };
  /** `host:port` of the listener's end and of the client's. */
  readonly local: string;
  readonly remote: string;
  /** SPIFFE id of the client, and the server name that it asked for; "" without. */
  readonly principal: string;
  readonly serverName: string;
  readonly listener: string;
  readonly route: string;
  /** Path of the object that the route comes from, and its rule; "" when there is none. */
  readonly owner: { readonly config: string; readonly rule: string };
  readonly cluster: string;
  /** At most eight: the first ones and the newest. */
  readonly tries: readonly RecordedTry[];
  /** Tries made. */
  readonly attempts: number;
  readonly response: {
    /** 0 = none was sent. */
    readonly status: number;
    /** Envoy's response flags, with commas. */
    readonly flags: string;
    /** Envoy's RESPONSE_CODE_DETAILS. */
    readonly details: string;
    /** -1 when the call was not gRPC, or its end is not known. */
    readonly grpcStatus: number;
    readonly transportFailure: string;
  };
}

/** A record, and what its decisions come to when they are made again. */
export interface ExplainedRecord {
  readonly record: RequestRecord;
  /** The engine's explanation; absent when the proxy has none. */
  readonly explanation?: object;
  /** Which configuration explains it: that of then, or that of now, where the proxy has the former no more. */
  readonly explainedWith?: "then" | "now";
}

/** One proxy on a request's way. */
export interface RequestHop extends ExplainedRecord {
  readonly proxy: ProxyName;
  /** Hops that led here. */
  readonly depth: number;
}

/** What `GET /tulle/v1/why/<request id>` answers. */
export interface RequestStory {
  readonly requestId: string;
  /** In the order in which the request went from proxy to proxy. */
  readonly hops: readonly RequestHop[];
  /** Proxies that were asked. */
  readonly asked: number;
  /** Ids of those that did not answer, and why; their part of the story is missing. */
  readonly silent: readonly { readonly proxy: string; readonly reason: string }[];
}

/** What `POST /tulle/v1/explain` takes. */
export interface ExplainRequest {
  /** Service whose proxy is asked, or a proxy: its id, or the part of it that `tulle get proxies` shows. */
  readonly from: string;
  /** Of that service; default `default`. */
  readonly namespace?: string;
  readonly method: string;
  readonly url: string;
  /** `name: value` */
  readonly headers?: readonly string[];
  /** Chance follows it; without one the likeliest way is shown. */
  readonly requestId?: string;
}

/** What it answers. */
export interface ExplainAnswer {
  /** The engine's explanation; `next` is the destination's own, where its proxy is connected. */
  readonly explanation: object;
  readonly proxy: ProxyName;
}
