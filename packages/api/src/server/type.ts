/** Linkerd's Server: a port of some workloads, for policies to name. Here it authorizes nobody and refuses nobody. */
export interface ServerSpec {
  /** Workloads of the object's namespace with these labels; empty = all. */
  readonly podSelector: { readonly matchLabels?: Readonly<Record<string, string>> };
  /** Where the application listens, the service's port, or its name. */
  readonly port: number | string;
  /** What the port carries. Has no effect: ports say it themselves, or it is found out. */
  readonly proxyProtocol?: "unknown" | "HTTP/1" | "HTTP/2" | "gRPC" | "opaque" | "TLS";
  /** Must be said: without it Linkerd refuses everybody, and nothing else is carried out here. */
  readonly accessPolicy: "all-unauthenticated";
}
