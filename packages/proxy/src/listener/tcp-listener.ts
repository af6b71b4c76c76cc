import { createServer, type Server, type Socket } from "node:net";

import { MeshError, systemErrorCode } from "@tulle/base";

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

/** A listening socket. */
export interface TcpListener {
  readonly address: ListenAddress;
  /** Takes no more connections. Those that are open stay. */
  stopAccepting(): void;
}

/** Listens, or rejects with `PROXY_LISTEN_FAILED` that says which listener and which option to change. */
export function listenTcp(options: TcpListenerOptions): Promise<TcpListener> {
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
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      const message = `the ${name} listener cannot listen on ${host}:${port} (${systemErrorCode(error) ?? error.message}); choose another port or stop what uses it`;
      reject(new MeshError("unavailable", "PROXY_LISTEN_FAILED", message, { cause: error }));
    };
    server.once("error", onError);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.removeListener("error", onError);
      // What accept() reports later (out of file descriptors) must not end the process.
      server.on("error", options.onDrop);
      resolve(listening(server));
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
