/**
 * Application protocols that decide how traffic is carried. `auto`: nobody declared one, so the first bytes of each
 * connection say what it is. `grpc-web`: gRPC whose clients may be browsers.
 */
export type AppProtocol = "http" | "http2" | "grpc" | "grpc-web" | "https" | "tls" | "tcp" | "auto";

/** What Istio's names for protocols mean here. Protocols that are not read are carried as bytes. */
const DECLARED: Readonly<Record<string, AppProtocol>> = {
  http: "http",
  http2: "http2",
  grpc: "grpc",
  "grpc-web": "grpc-web",
  https: "https",
  tls: "tls",
  tcp: "tcp",
  mongo: "tcp",
  mysql: "tcp",
  redis: "tcp",
  "kubernetes.io/h2c": "http2",
  "kubernetes.io/ws": "http",
  "kubernetes.io/wss": "https",
};

/** Names by which a protocol can be declared, for messages. */
export const DECLARED_PROTOCOLS: readonly string[] = Object.keys(DECLARED);

/** The protocol that a declaration means, in any case of letters; undefined when it is none that is known. */
export function declaredProtocol(name: string): AppProtocol | undefined {
  const lower = name.toLowerCase();
  return Object.hasOwn(DECLARED, lower) ? DECLARED[lower] : undefined;
}

/** The protocol that the name of a port declares, `<protocol>[-<suffix>]`; undefined when it declares none. */
export function protocolOfPortName(name: string): AppProtocol | undefined {
  const lower = name.toLowerCase();
  // `grpc-web` is a protocol of its own, whatever follows it.
  if (lower === "grpc-web" || lower.startsWith("grpc-web-")) return declaredProtocol("grpc-web");
  const dash = lower.indexOf("-");
  return declaredProtocol(dash < 0 ? lower : lower.slice(0, dash));
}
