import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";

import { MeshError, systemErrorCode, type Disposable, type Logger } from "@tulle/base";
import { failureAnswer, frame, FrameReader, parseQuery, RCODE } from "@tulle/dns";

import type { ListenAddress } from "../options.js";
import type { Resolver } from "./resolver.js";

const MAX_TCP_CONNECTIONS = 256;
/** A TCP connection that is silent for so long is closed (RFC 7766 section 6.2.3). */
const TCP_IDLE_MS = 10_000;
/** Queries over UDP that wait for their answer at once; more are dropped, and the client asks again. */
const MAX_WAITING = 1024;
/** How many free UDP ports are tried for one whose TCP twin is free too. */
const PORT_PAIR_TRIES = 20;

export interface DnsListener extends Disposable {
  readonly address: ListenAddress;
}

export interface DnsListenerOptions {
  readonly host: string;
  /** UDP and TCP; 0 picks one that is free for both. */
  readonly port: number;
  readonly resolve: Resolver;
  /** Whether the client at this port is the sidecar itself: it is refused. */
  readonly isOwn: (port: number) => boolean;
  readonly logger: Logger;
}

/** Listens for the application's DNS queries, UDP and TCP. Rejects with `PROXY_LISTEN_FAILED`. */
export async function listenDns(options: DnsListenerOptions): Promise<DnsListener> {
  const { host } = options;
  for (let attempt = 1; ; attempt++) {
    const udp = createUdp(options);
    const { server, connections } = createTcp(options);
    const close = (): void => {
      try {
        udp.close();
      } catch {
        // It never was bound.
      }
      server.close();
      for (const connection of connections) connection.destroy();
    };
    try {
      const port = await bindUdp(udp, host, options.port);
      await listenTcp(server, host, port);
      return { address: { host, port }, [Symbol.dispose]: close };
    } catch (thrown) {
      close();
      const code = systemErrorCode(thrown);
      if (options.port === 0 && code === "EADDRINUSE" && attempt < PORT_PAIR_TRIES) continue;
      const message = `the dns listener cannot listen on ${host}:${options.port} (${code ?? "unknown"}); choose another --dns-port or stop what uses it`;
      throw new MeshError("unavailable", "PROXY_LISTEN_FAILED", message, { cause: thrown });
    }
  }
}

function createUdp({ host, resolve, isOwn, logger }: DnsListenerOptions): UdpSocket {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  let waiting = 0;
  let closed = false;
  socket.on("close", () => {
    closed = true;
  });
  socket.on("error", (error) => logger.debug("DNS socket failed", { error }));
  socket.on("message", (query, peer) => {
    // The sender's port can be 0 in a forged packet; sending there throws.
    if (waiting >= MAX_WAITING || peer.port === 0) return;
    waiting++;
    const answering = isOwn(peer.port) ? refuse(query) : resolveSafely(resolve, query, "udp", logger);
    answering.then(
      (answer) => {
        waiting--;
        if (answer === undefined || closed) return;
        socket.send(answer, peer.port, peer.address, (error) => {
          if (error !== null) logger.debug("DNS answer not sent", { error });
        });
      },
      () => undefined,
    );
  });
  return socket;
}

function createTcp(options: DnsListenerOptions): {
  readonly server: Server;
  readonly connections: Set<Socket>;
} {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serveConnection(socket, options);
  });
  server.maxConnections = MAX_TCP_CONNECTIONS;
  server.on("error", (error) => options.logger.debug("DNS listener failed", { error }));
  return { server, connections };
}

/** One query of a connection after the other: what waits for its answer is not read past. */
function serveConnection(socket: Socket, { resolve, isOwn, logger }: DnsListenerOptions): void {
  socket.on("error", () => undefined);
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  const goOn = (): void => {
    if (reader.resume()) socket.resume();
  };
  const reader = new FrameReader((query) => {
    socket.pause();
    const answering = isOwn(socket.remotePort ?? 0)
      ? refuse(query)
      : resolveSafely(resolve, query, "tcp", logger);
    answering.then(
      (answer) => {
        // RFC 7766 gives no way to say "no answer" on a connection: what is no query ends it.
        if (answer === undefined) socket.destroy();
        if (socket.destroyed || answer === undefined) return;
        if (socket.write(frame(answer))) goOn();
        else socket.once("drain", goOn);
      },
      () => undefined,
    );
    return false;
  });
  socket.on("data", (piece) => reader.push(piece));
}

/** Ends a circle at its first turn: whoever asked on our behalf is told REFUSED. */
function refuse(message: Buffer): Promise<Buffer | undefined> {
  const parsed = parseQuery(message);
  return Promise.resolve(parsed.outcome === "query" ? failureAnswer(parsed.query, RCODE.REFUSED) : undefined);
}

async function resolveSafely(
  resolve: Resolver,
  query: Buffer,
  transport: "udp" | "tcp",
  logger: Logger,
): Promise<Buffer | undefined> {
  try {
    return await resolve(query, transport);
  } catch (thrown) {
    logger.error("DNS query failed", { error: MeshError.from(thrown) });
    return undefined;
  }
}

function bindUdp(socket: UdpSocket, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off("error", reject);
      resolve(socket.address().port);
    });
  });
}

function listenTcp(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
