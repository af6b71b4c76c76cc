import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { getRequestListener } from "@hono/node-server";
import { failureStatus } from "@tulle/api";
import { MeshError, type Logger } from "@tulle/base";
import type { Hono } from "hono";

import { isLoopback, isTrustedHost } from "./host-check.js";

export interface HttpServerOptions {
  /** Loopback: others need TLS and a token, which this server does not have yet. */
  readonly address: string;
  readonly port: number;
  readonly app: Hono;
  readonly logger: Logger;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** A head of a request takes no longer, milliseconds; slower senders are cut. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 65_000;
const MAX_CONNECTIONS = 20_000;

/**
 * Serves all HTTP APIs of the control plane. Errors: `invalid` CONTROL_HTTP_ADDRESS for an address beyond loopback,
 * `unavailable` CONTROL_HTTP_LISTEN when the port is taken.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address, app, logger } = options;
  if (!isLoopback(address)) {
    throw new MeshError(
      "invalid",
      "CONTROL_HTTP_ADDRESS",
      `refusing to serve the unauthenticated HTTP API on ${address}: listen on 127.0.0.1`,
    );
  }
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer((request, response) => {
    response.on("error", (error) => logger.debug("a response was cut", { error }));
    if (isTrustedHost(request.headers.host)) return void listener(request, response);
    const message = "this Host is not served here: use localhost or the address in the request";
    response.writeHead(403, { "content-type": "application/json", connection: "close" });
    response.end(JSON.stringify(failureStatus(403, "Forbidden", message)));
  });
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
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const message = `cannot listen on ${address}:${port}: choose another port with --http-port (0 for any free one)`;
      reject(new MeshError("unavailable", "CONTROL_HTTP_LISTEN", message, { cause }));
    });
    server.listen(port, address, resolve);
  });
}
