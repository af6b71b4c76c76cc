import { createServer, type ListenOptions, type Server, type Socket } from "node:net";

import { describeError, MeshError, systemErrorCode } from "@tulle/base";

import type { ListenAddress } from "../options.js";
import { SOCKET_HIGH_WATER_BYTES } from "../upstream/connector.js";

/** Connections that one listener holds at once; more are closed as they come. */
export const MAX_CONNECTIONS = 10_000;

export interface TcpListenerOptions {
  /** For messages: `inbound`, `upstream reviews:9080`. */
  readonly name: string;
  readonly host: string;
  /** 0 = a free one. */
  readonly port: number;
  /** A connection; its `error` event has a listener already. */
  readonly onConnection: (socket: Socket) => void;
  /** A connection was closed because there are too many. */
  readonly onDrop: () => void;
}

/** Makes a server listen at an address. */
export type StartListening = (
  server: Server,
  at: { readonly host: string; readonly port: number; readonly backlog: number },
) => Promise<void>;

/** A listening socket. */
export interface TcpListener {
  readonly address: ListenAddress;
  /** Takes no more connections. Those that are open stay. */
  stopAccepting(): void;
}

/** Opens a listener: {@link listenTcp}, or what shares the port with other threads. */
export type ListenTcp = (options: TcpListenerOptions) => Promise<TcpListener>;

const BACKLOG = 1024;

/** Listens, or rejects with `PROXY_LISTEN_FAILED` that says which listener and which option to change. */
export async function listenTcp(
  options: TcpListenerOptions,
  start: StartListening = startListening,
): Promise<TcpListener> {
  const { name, host, port } = options;
  const server = createServer({
    noDelay: true,
    allowHalfOpen: true,
    highWaterMark: SOCKET_HIGH_WATER_BYTES,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("drop", options.onDrop);
  server.on("connection", (socket) => {
    socket.on("error", () => undefined);
    options.onConnection(socket);
  });
  try {
    await start(server, { host, port, backlog: BACKLOG });
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    const why = systemErrorCode(cause) ?? describeError(cause);
    const message = `the ${name} listener cannot listen on ${host}:${port} (${why}); choose another port or stop what uses it`;
    throw new MeshError("unavailable", "PROXY_LISTEN_FAILED", message, { cause });
  }
  // What accept() reports later (out of file descriptors) must not end the process.
  server.on("error", options.onDrop);
  return listening(server);
}

/** Resolves once `server.listen(options)` has succeeded. */
export function startListening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

function listening(server: Server): TcpListener {
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new MeshError("internal", "PROXY_NO_ADDRESS", "the listener has no address");
  }
  return {
    address: { host: address.address, port: address.port },
    stopAccepting: () => {
      server.close();
    },
  };
}

/** `host:port`, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
