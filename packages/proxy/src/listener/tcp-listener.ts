import { unlink } from "node:fs/promises";
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";

import { listenOnUnixSocket } from "@tulle/agent";

import { describeError, MeshError, systemErrorCode } from "@tulle/base";

import type { ServerConnectionContext } from "../connection/server-connection.js";
import type { LimitName } from "../limits/limit-table.js";
import type { ListenAddress } from "../options.js";
import { handleOf } from "../socket-descriptor.js";
import type { Counter } from "../telemetry/metrics.js";
import { SOCKET_HIGH_WATER_BYTES } from "../upstream/connector.js";

export interface TcpListenerOptions {
  /** For messages: `inbound`, `upstream reviews:9080`. */
  readonly name: string;
  readonly host: string;
  /** 0 = a free one. */
  readonly port: number;
  /** A Unix socket instead. */
  readonly path?: string | undefined;
  /** What a predecessor listened by; undefined: the address is opened. */
  readonly inherited?: object | undefined;
  /** A connection; its `error` event has a listener already. */
  readonly onConnection: (socket: Socket) => void;
  /** Connections that it holds at once; more are closed as they come. */
  readonly maxConnections: number;
  /** A connection was closed: `full` because there are too many, else because the process can open no more files. */
  readonly onDrop: (full: boolean) => void;
}

/** Makes a server listen at an address. */
export type StartListening = (
  server: Server,
  at: { readonly host: string; readonly port: number; readonly backlog: number },
) => Promise<void>;

/** A listening socket. */
export interface TcpListener {
  readonly address: ListenAddress;
  /** For a process that is to listen as well; undefined when it does not listen any more. */
  readonly handle: object | undefined;
  /** Takes no more connections. Those that are open stay. */
  stopAccepting(): void;
  /** The same, where another process goes on listening at this address. */
  leave(): void;
}

/** Opens a listener: {@link listenTcp}, or what shares the port with other threads. */
export type ListenTcp = (options: TcpListenerOptions) => Promise<TcpListener>;

const BACKLOG = 1024;

/** Listens, or rejects with `PROXY_LISTEN_FAILED` that says which listener and which option to change. */
export async function listenTcp(
  options: TcpListenerOptions,
  start: StartListening = startListening,
): Promise<TcpListener> {
  const { name, host, port, path } = options;
  const server = createServer({
    noDelay: true,
    allowHalfOpen: true,
    highWaterMark: SOCKET_HIGH_WATER_BYTES,
  });
  server.maxConnections = options.maxConnections;
  server.on("drop", () => options.onDrop(true));
  server.on("connection", (socket) => {
    socket.on("error", () => undefined);
    options.onConnection(socket);
  });
  try {
    if (options.inherited !== undefined) await startListening(server, options.inherited);
    else if (path === undefined) await start(server, { host, port, backlog: BACKLOG });
    else await listenOnUnixSocket((place) => startListening(server, { path: place, backlog: BACKLOG }), path);
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    const why = systemErrorCode(cause) ?? describeError(cause);
    const message = `the ${name} listener cannot listen on ${host}:${port} (${why}); choose another port or stop what uses it`;
    throw new MeshError("unavailable", "PROXY_LISTEN_FAILED", message, { cause });
  }
  // What accept() reports later (out of file descriptors) must not end the process.
  server.on("error", () => options.onDrop(false));
  return path === undefined ? listening(server) : listeningAt(server, path);
}

/** As `listen`, by what a predecessor listened by under the listener's name, where there is that. */
export function inheriting(inherited: ReadonlyMap<string, object>): ListenTcp {
  return (options) => listenTcp({ ...options, inherited: inherited.get(options.name) });
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

function listeningAt(server: Server, path: string): TcpListener {
  return {
    address: { host: path, port: 0 },
    get handle() {
      return handleOf(server);
    },
    leave: () => {
      server.close();
    },
    stopAccepting: () => {
      if (!server.listening) return;
      server.close();
      // What is left over is replaced by the next one.
      unlink(path).catch(() => undefined);
    },
  };
}

function listening(server: Server): TcpListener {
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new MeshError("internal", "PROXY_NO_ADDRESS", "the listener has no address");
  }
  return {
    address: { host: address.address, port: address.port },
    get handle() {
      return handleOf(server);
    },
    leave: () => {
      server.close();
    },
    stopAccepting: () => {
      server.close();
    },
  };
}

/** How a listener treats more connections than it may hold: closed, counted, and said with the limit's name. */
export function refusals(
  { limits, onLimit }: Pick<ServerConnectionContext, "limits" | "onLimit">,
  name: string,
  dropped: Counter,
): Pick<TcpListenerOptions, "maxConnections" | "onDrop"> {
  const limit: LimitName = "listener.maxConnections";
  const maxConnections = limits.stranger.values[limit];
  return {
    maxConnections,
    onDrop: (full) => {
      dropped.inc();
      if (full) onLimit(limit, maxConnections, `the ${name} listener`);
    },
  };
}
