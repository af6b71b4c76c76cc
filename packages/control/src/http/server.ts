import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { failureStatus } from "@tulle/api";
import { MeshError, type Disposable, type Logger } from "@tulle/base";

import type { ServeRequest } from "../access/index.js";
import { tlsContextOptions, type ServerCertificateProvider } from "../grpc/index.js";
import { isLoopback, isTrustedHost } from "./host-check.js";

export interface HttpServerOptions {
  readonly address: string;
  readonly port: number;
  /** Names that clients may call this server by, beside `localhost` and IP addresses. */
  readonly names: ReadonlySet<string>;
  readonly fetch: ServeRequest;
  /** TLS, with a client certificate asked for but not required. Undefined: plain HTTP, on loopback only. */
  readonly certificates: ServerCertificateProvider | undefined;
  readonly logger: Logger;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** A head of a request takes no longer, milliseconds; slower senders are cut. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 65_000;
const MAX_CONNECTIONS = 20_000;

/**
 * Serves all HTTP APIs of the control plane. Errors: `invalid` CONTROL_HTTP_ADDRESS for plain HTTP beyond loopback,
 * `unavailable` CONTROL_HTTP_LISTEN when the port is taken.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address, certificates, names, logger } = options;
  if (certificates === undefined && !isLoopback(address)) {
    throw new MeshError(
      "invalid",
      "CONTROL_HTTP_ADDRESS",
      `refusing to serve the HTTP API in plaintext on ${address}: listen on 127.0.0.1, or with TLS`,
    );
  }
  const listener = getRequestListener((request, env) => options.fetch(request, env as HttpBindings), {
    overrideGlobalObjects: false,
  });
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    response.on("error", (error) => logger.debug("a response was cut", { error }));
    if (isTrustedHost(request.headers.host, names)) return void listener(request, response);
    const message = "this Host is not served here: use localhost, an address, or a name given with --host";
    response.writeHead(403, { "content-type": "application/json", connection: "close" });
    response.end(JSON.stringify(failureStatus(403, "Forbidden", message)));
  };
  const { server, subscription } =
    certificates === undefined
      ? { server: createServer(answer), subscription: undefined }
      : serveTls(certificates, answer, logger);
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  // Blocking queries and watches take longer to answer, not to be asked.
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxConnections = MAX_CONNECTIONS;
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
    else socket.destroy();
  });
  await listen(server, address, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        subscription?.[Symbol.dispose]();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function serveTls(
  certificates: ServerCertificateProvider,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  logger: Logger,
): { readonly server: Server; readonly subscription: Disposable } {
  const server = createTlsServer(
    {
      ...tlsContextOptions(certificates.current()),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    },
    answer,
  );
  server.on("tlsClientError", (error) => logger.debug("a TLS handshake failed", { error }));
  const subscription = certificates.onRotated(() => {
    server.setSecureContext(tlsContextOptions(certificates.current()));
  });
  return { server, subscription };
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const message = `cannot listen on ${address}:${port}: choose another port with --http-port (0 for any free one)`;
      reject(new MeshError("unavailable", "CONTROL_HTTP_LISTEN", message, { cause }));
    });
    server.listen(port, address, () => {
      server.on("error", () => undefined);
      resolve();
    });
  });
}
