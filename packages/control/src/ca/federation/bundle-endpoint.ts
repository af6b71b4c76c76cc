import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";

import { MeshError, type Clock } from "@tulle/base";

import type { ServerCertificateProvider } from "../../grpc/server-credentials.js";
import type { MeshTrust } from "../mesh-trust.js";
import { formatBundle } from "./bundle-document.js";

/** Others should look again after this many seconds: in time before a new root signs. */
const REFRESH_HINT_S = 60;
const MAX_CONNECTIONS = 256;
const TIMEOUT_MS = 10_000;

export interface BundleEndpointOptions {
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly trust: MeshTrust;
  /**
   * Its certificate: the control plane's SVID (profile `https_spiffe`), or one for its host name (`https_web`).
   */
  readonly certificates: ServerCertificateProvider;
  readonly clock: Clock;
}

export interface BundleEndpoint {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves the mesh's own bundle to whoever asks, over HTTPS at every path. There is nothing secret in it. */
export async function serveBundle(options: BundleEndpointOptions): Promise<BundleEndpoint> {
  const { address, trust, certificates } = options;
  const tls = () => {
    const { certificateChainPem: cert, privateKeyPem: key } = certificates.current();
    return { cert, key, minVersion: "TLSv1.2" as const };
  };
  // Higher than before a restart.
  let sequence = options.clock.now();
  let served = "";
  const document = (): string => {
    const { trustDomain, bundles, jwtBundles } = trust;
    const bundle = { x509Pem: bundles[trustDomain] ?? "", jwks: jwtBundles[trustDomain] ?? "{}" };
    const now = JSON.stringify(bundle);
    if (now !== served) sequence++;
    served = now;
    return formatBundle({ ...bundle, sequence, refreshHint: REFRESH_HINT_S });
  };
  const server: Server = createServer(tls(), (request, response) => {
    request.resume();
    response.on("error", () => undefined);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET" }).end();
      return;
    }
    response.writeHead(200, { "content-type": "application/json" }).end(document());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.headersTimeout = TIMEOUT_MS;
  server.requestTimeout = TIMEOUT_MS;
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.on("clientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const message = `cannot listen on ${address}:${options.port}: choose another port with --bundle-endpoint-port`;
      reject(new MeshError("unavailable", "CA_BUNDLE_LISTEN", message, { cause }));
    });
    server.listen(options.port, address, resolve);
  });
  server.on("error", () => undefined);
  const renewal = certificates.onRotated(() => server.setSecureContext(tls()));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        renewal[Symbol.dispose]();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
