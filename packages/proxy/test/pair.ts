// Two sidecars with mutual TLS between them, in front of an application.
import type { Clock } from "@tulle/base";
import type { TestAuthority } from "@tulle/testkit";

import type { HttpListener } from "../src/listener/outbound-listener.js";
import { backend, createProxy, TestIdentity, type TestProxy } from "./harness.js";
import {
  apiListener,
  cluster,
  endpoints,
  inboundListener,
  routes,
  routeTo,
  staticCluster,
  type TlsParams,
} from "./resources.js";

export const SNI = "outbound_.9080_._.reviews.default.svc.cluster.local";
export const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";
export const REVIEWS = "spiffe://cluster.local/ns/default/sa/reviews";
export const FRONTEND = "spiffe://cluster.local/ns/default/sa/frontend";

export interface Pair {
  readonly client: TestProxy;
  readonly server: TestProxy;
  readonly clientIdentity: TestIdentity;
  readonly serverIdentity: TestIdentity;
  /** Port that the calling application uses. */
  readonly port: number;
  readonly inboundPort: number;
  readonly inbound: HttpListener;
}

export interface PairOptions {
  readonly permissive?: boolean;
  readonly serverAccount?: string;
  readonly serverAuthority?: TestAuthority;
  readonly clientAuthority?: TestAuthority;
  readonly app?: Parameters<typeof backend>[0];
  /** Of an application that runs already, instead of `app`. */
  readonly appPort?: number;
  /** The application speaks HTTP/2 by prior knowledge. */
  readonly http2?: boolean;
  /** What the client's sidecar offers; default HTTP/2, then HTTP/1.1. */
  readonly alpn?: readonly string[];
  /** By which certificates end, at both ends. */
  readonly certificateClock?: Clock;
  /** What mutual TLS is spoken with, at both ends. */
  readonly tlsParams?: TlsParams;
  /** The same, where the client's is another. */
  readonly clientTlsParams?: TlsParams;
  /** Of the client's route. */
  readonly route?: Record<string, unknown>;
}

export async function startPair(authority: TestAuthority, options: PairOptions = {}): Promise<Pair> {
  const appPort =
    options.appPort ??
    (await backend(options.app ?? ((request, response) => response.end(JSON.stringify(request.headers)))))
      .port;
  const serverIdentity = new TestIdentity(
    await (options.serverAuthority ?? authority).issue({
      serviceAccount: options.serverAccount ?? "reviews",
    }),
  );
  const clientIdentity = new TestIdentity(
    await (options.clientAuthority ?? authority).issue({ serviceAccount: "frontend" }),
  );
  const { certificateClock } = options;
  const clock = certificateClock === undefined ? {} : { certificateClock };
  const server = createProxy({ identity: serverIdentity, name: "reviews", ...clock });
  const local = "inbound|9080||reviews.default.svc.cluster.local";
  server.apply(
    staticCluster(local, appPort, { http2: options.http2 === true }),
    inboundListener({
      sni: SNI,
      cluster: local,
      ...(options.permissive === undefined ? {} : { permissive: options.permissive }),
      ...(options.tlsParams !== undefined && { tlsParams: options.tlsParams }),
    }),
  );
  const inbound = await server.inbound();
  const inboundPort = inbound.tcp.address.port;
  const client = createProxy({ identity: clientIdentity, name: "frontend", ...clock });
  const tlsParams = options.clientTlsParams ?? options.tlsParams;
  const tls = {
    sni: SNI,
    spiffeId: REVIEWS,
    ...(options.alpn === undefined ? {} : { alpn: options.alpn }),
    ...(tlsParams !== undefined && { tlsParams }),
  };
  client.apply(
    cluster(CLUSTER, { tls }),
    endpoints(CLUSTER, [
      { port: inboundPort, mtls: true, workload: "reviews-v1;default;reviews;v1;Kubernetes" },
    ]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(CLUSTER, options.route ?? {})]),
  );
  return {
    client,
    server,
    clientIdentity,
    serverIdentity,
    port: await client.listen("reviews:9080"),
    inboundPort,
    inbound,
  };
}
