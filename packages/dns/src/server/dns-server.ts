import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";

import { MeshError, systemErrorCode, type Logger } from "@tulle/base";

import type { DnsTransport } from "../answer.js";
import { frame, FrameReader } from "../frames.js";

export interface DnsServerOptions {
  /** IP literal to listen on. */
  readonly address: string;
  /** UDP and TCP port; 0 picks one that is free for both. */
  readonly port: number;
  /** Answers a message of the client at `peerPort`; undefined: there is no answer to it. */
  readonly answer: (
    query: Buffer,
    transport: DnsTransport,
    peerPort: number,
  ) => Buffer | undefined | Promise<Buffer | undefined>;
  readonly logger: Logger;
  /** TCP connections at once, more are closed on arrival; default 256. */
  readonly maxConnections?: number;
  /** A TCP connection that is silent for so long is closed, milliseconds; default 10,000 (RFC 7766 section 6.2.3). */
  readonly idleTimeoutMs?: number;
  /** What a predecessor in another process listened by: taken over in place of opening the port. */
  readonly inherited?: DnsHandles | undefined;
}

/** What a server listens by, for `ChildProcess.send`. */
export interface DnsHandles {
  readonly udp: object;
  readonly tcp: object;
}

export interface DnsServer {
  readonly port: number;
  /** Undefined where Node.js does not tell. */
  readonly handles: DnsHandles | undefined;
  /** Closes both sockets and all connections. */
  close(): Promise<void>;
}

const DEFAULT_MAX_CONNECTIONS = 256;
const DEFAULT_IDLE_TIMEOUT_MS = 10_000;
/** Queries over UDP that wait for their answer at once; more are dropped, and the client asks again. */
const MAX_WAITING = 1024;
/** How many free UDP ports are tried for one whose TCP twin is free too. */
const PORT_PAIR_TRIES = 20;

/** Listens for DNS over UDP and TCP on one port. Rejects with the system's error when the port cannot be had. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { address } = options;
  for (let attempt = 1; ; attempt++) {
    const udp = createUdp(options);
    const tcp = createTcp(options);
    try {
      const { inherited } = options;
      const port = await bindUdp(udp, address, options.port, inherited?.udp);
      await listenTcp(tcp.server, inherited?.tcp ?? { host: address, port, exclusive: true });
      return {
        port,
        get handles() {
          return handlesOf(udp, tcp.server);
        },
        close: () => closeBoth(udp, tcp),
      };
    } catch (thrown) {
      await closeBoth(udp, tcp);
      const taken = systemErrorCode(thrown) === "EADDRINUSE";
      if (options.port !== 0 || !taken || attempt === PORT_PAIR_TRIES) throw thrown;
    }
  }
}

function createUdp(options: DnsServerOptions): UdpSocket {
  const { address, logger } = options;
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  let waiting = 0;
  let closed = false;
  socket.on("close", () => {
    closed = true;
  });
  // Without a listener an error would end the process. Errors of binding are seen by bindUdp as well.
  socket.on("error", (error) => logger.debug("DNS socket failed", { error }));
  socket.on("message", (query, peer) => {
    // The sender's port can be 0 in a forged packet; sending there throws.
    if (waiting >= MAX_WAITING || peer.port === 0) return;
    waiting++;
    void answerSafely(options, query, "udp", peer.port).then((answer) => {
      waiting--;
      if (answer === undefined || closed) return;
      socket.send(answer, peer.port, peer.address, (error) => {
        if (error !== null) logger.debug("DNS answer not sent", { peer: peer.address, error });
      });
    });
  });
  return socket;
}

interface TcpServer {
  readonly server: Server;
  readonly connections: Set<Socket>;
}

function createTcp(options: DnsServerOptions): TcpServer {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serveConnection(socket, options);
  });
  server.maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
  server.on("error", (error) => options.logger.debug("DNS listener failed", { error }));
  return { server, connections };
}

/** One query of a connection after the other; a peer that does not read is not read from. */
function serveConnection(socket: Socket, options: DnsServerOptions): void {
  socket.on("error", (error) => options.logger.debug("DNS connection failed", { error }));
  socket.setTimeout(options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS, () => socket.destroy());
  const goOn = (): void => {
    if (reader.resume()) socket.resume();
  };
  const reader = new FrameReader((query) => {
    socket.pause();
    void answerSafely(options, query, "tcp", socket.remotePort ?? 0).then((answer) => {
      // RFC 7766 gives no way to say "no answer" on a connection: what is no query ends it.
      if (answer === undefined) socket.destroy();
      if (answer === undefined || socket.destroyed) return;
      if (socket.write(frame(answer))) goOn();
      else socket.once("drain", goOn);
    });
    return false;
  });
  socket.on("data", (piece) => reader.push(piece));
}

async function answerSafely(
  { answer, logger }: DnsServerOptions,
  query: Buffer,
  transport: DnsTransport,
  peerPort: number,
): Promise<Buffer | undefined> {
  try {
    return await answer(query, transport, peerPort);
  } catch (thrown) {
    logger.error("DNS query failed", { error: MeshError.from(thrown) });
    return undefined;
  }
}

function bindUdp(
  socket: UdpSocket,
  address: string,
  port: number,
  inherited: object | undefined,
): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("listening", () => {
      socket.off("error", reject);
      resolve(socket.address().port);
    });
    // A socket is bound to such a handle by Node.js' own child processes, too.
    socket.bind(inherited ?? { address, port, exclusive: true });
  });
}

function listenTcp(server: Server, at: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Node.js documents neither; the one of a UDP socket lies behind a symbol. */
function handlesOf(udp: UdpSocket, server: Server): DnsHandles | undefined {
  const state = Object.getOwnPropertySymbols(udp).find(({ description }) => description === "state symbol");
  const inside = state && (udp as unknown as Record<symbol, { readonly handle?: object | null }>)[state];
  const { _handle: tcp } = server as Server & { readonly _handle?: object | null };
  return inside?.handle && tcp ? { udp: inside.handle, tcp } : undefined;
}

async function closeBoth(udp: UdpSocket, { server, connections }: TcpServer): Promise<void> {
  const closed = [
    // A socket that never bound, or failed to, throws when it is closed.
    new Promise<void>((resolve) => {
      try {
        udp.close(() => resolve());
      } catch {
        resolve();
      }
    }),
    new Promise<void>((resolve) => {
      server.close(() => resolve());
    }),
  ];
  for (const socket of connections) socket.destroy();
  await Promise.all(closed);
}
