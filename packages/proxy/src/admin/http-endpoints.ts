import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { isIP } from "node:net";

import { MeshError, systemErrorCode, type Logger } from "@tulle/base";

import type { ListenAddress } from "../options.js";
import { handleOf } from "../socket-descriptor.js";

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** One path of a local HTTP server. */
export interface Endpoint {
  readonly path: string;
  /** POST for everything that changes something. */
  readonly method: "GET" | "POST";
  /** One line for `/help`. */
  readonly help: string;
  /** Largest body that is read, of a POST; what is sent to a path without it is thrown away. */
  readonly maxBodyBytes?: number;
  /** `body`: "" where none is read. */
  handle(query: URLSearchParams, body: string): Reply | Promise<Reply>;
}

export interface HttpEndpointsOptions {
  /** For messages: `admin`. */
  readonly name: string;
  readonly host: string;
  /** 0 = a free one. */
  readonly port: number;
  readonly endpoints: readonly Endpoint[];
  readonly logger: Logger;
  /** What a predecessor listened by; undefined: it opens its port. */
  readonly inherited?: object | undefined;
}

export interface LocalHttpServer {
  readonly name: string;
  readonly address: ListenAddress;
  /** For a process that is to listen as well. */
  readonly handle: object | undefined;
  close(): void;
}

const MAX_CONNECTIONS = 128;

export function text(body: string, status = 200): Reply {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

export function json(value: unknown, status = 200): Reply {
  return { status, contentType: "application/json", body: `${JSON.stringify(value, null, 2)}\n` };
}

/**
 * A small HTTP server for people and scrapers on this machine. Bound to loopback it answers only requests whose Host is
 * this machine: a web page that rebinds a name to 127.0.0.1 gets 403 (RELIABILITY ADM-01), and so does any POST that
 * comes from a web page.
 */
export function serveEndpoints(options: HttpEndpointsOptions): Promise<LocalHttpServer> {
  const { name, host, port, logger } = options;
  const endpoints = new Map(options.endpoints.map((endpoint) => [endpoint.path, endpoint]));
  const server = createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => {
      logger.error("admin request failed", { path: request.url, error: thrown });
      send(response, text("unexpected failure; see the sidecar's log\n", 500));
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  const checksHost = isLoopback(host);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const endpoint = endpoints.get(url.pathname);
    const { maxBodyBytes = 0 } = endpoint ?? {};
    // What nobody reads is thrown away.
    if (maxBodyBytes === 0) request.resume();
    if (checksHost && !namesThisMachine(request.headers.host ?? "")) {
      send(response, text("this server answers requests to this machine's own name only\n", 403));
      return;
    }
    if (endpoint === undefined) {
      send(response, text("no such path; see /help\n", 404));
      return;
    }
    const method = request.method === "HEAD" ? "GET" : request.method;
    if (method !== endpoint.method) {
      response.setHeader("allow", endpoint.method);
      send(
        response,
        text(`use ${endpoint.method}, as in: curl -X ${endpoint.method} …${endpoint.path}\n`, 405),
      );
      return;
    }
    if (method === "POST" && isFromWebPage(request)) {
      send(response, text("requests of web pages may not change anything here\n", 403));
      return;
    }
    const body = maxBodyBytes === 0 ? "" : await readBody(request, maxBodyBytes);
    if (body === undefined) {
      response.setHeader("connection", "close");
      send(response, text(`the body has over ${maxBodyBytes} bytes\n`, 413));
      return;
    }
    send(response, await endpoint.handle(url.searchParams, body));
  }

  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      const message = `the ${name} server cannot listen on ${host}:${port} (${systemErrorCode(error) ?? error.message}); choose another port or stop what uses it`;
      reject(new MeshError("unavailable", "PROXY_LISTEN_FAILED", message, { cause: error }));
    };
    server.once("error", onError);
    server.listen(options.inherited ?? { host, port }, () => {
      server.removeListener("error", onError);
      server.on("error", (error) => logger.warn(`${name} server`, { error }));
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address : { address: host, port };
      resolve({
        name,
        get handle() {
          return handleOf(server);
        },
        address: { host: bound.address, port: bound.port },
        close: () => {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}

/** The whole body; undefined when it is longer than `maxBytes`. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function send(response: ServerResponse, reply: Reply): void {
  if (response.headersSent) return;
  response.writeHead(reply.status, {
    "content-type": reply.contentType,
    "cache-control": "no-cache, max-age=0",
    "x-content-type-options": "nosniff",
  });
  response.end(reply.body);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** Whether a browser made the request for a page; nobody's pages are served here. */
function isFromWebPage({ headers }: IncomingMessage): boolean {
  const site = headers["sec-fetch-site"];
  return headers.origin !== undefined || (site !== undefined && site !== "none");
}

/** Whether a Host header is `localhost` or an IP address: names are what a DNS rebinding attack needs. */
function namesThisMachine(host: string): boolean {
  const name = host.startsWith("[") ? host.slice(1, host.indexOf("]")) : host.replace(/:\d+$/, "");
  return name === "localhost" || isIP(name) !== 0;
}
