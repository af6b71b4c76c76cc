import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { MeshError, systemErrorCode, type Logger } from "@tulle/base";
import { frame, FrameReader, type DnsAnswerer } from "@tulle/dns";

export interface DnsServerOptions {
  /** IP literal to listen on. */
  readonly address: string;
  /** UDP and TCP port; 0 picks one that is free for both. */
  readonly port: number;
  readonly answer: DnsAnswerer;
  readonly logger: Logger;
  /** TCP connections at once, more are closed on arrival; default 256. */
  readonly maxConnections?: number;
  /** A TCP connection that is silent for so long is closed, milliseconds; default 10,000 (RFC 7766 section 6.2.3). */
  readonly idleTimeoutMs?: number;
}

export interface DnsServer {
  readonly port: number;
  /** Closes both sockets and all connections. */
  close(): Promise<void>;
}

const DEFAULT_MAX_CONNECTIONS = 256;
const DEFAULT_IDLE_TIMEOUT_MS = 10_000;
/** How many free UDP ports are tried for one whose TCP twin is free too. */
const PORT_PAIR_TRIES = 20;

/**
 * Listens for DNS over UDP and TCP on one port.
 *
 * Throws `unavailable` CONTROL_DNS_LISTEN when the port cannot be had.
 */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { address } = options;
  for (let attempt = 1; ; attempt++) {
    const udp = createUdp(options);
    const tcp = createTcp(options);
    try {
      const port = await bindUdp(udp, address, options.port);
      await listenTcp(tcp.server, address, port);
      return { port, close: () => closeBoth(udp, tcp) };
    } catch (thrown) {
      await closeBoth(udp, tcp);
      const taken = systemErrorCode(thrown) === "EADDRINUSE";
      if (options.port === 0 && taken && attempt < PORT_PAIR_TRIES) continue;
      throw new MeshError(
        "unavailable",
        "CONTROL_DNS_LISTEN",
        `DNS cannot listen on ${address} port ${options.port}: choose another --dns-port, or stop what uses it`,
        { cause: thrown },
      );
    }
  }
}

function createUdp({ address, answer, logger }: DnsServerOptions): UdpSocket {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  // Without a listener an error would end the process. Errors of binding are seen by bindUdp as well.
  socket.on("error", (error) => logger.debug("DNS socket failed", { error }));
  socket.on("message", (query, peer) => {
    const bytes = answerSafely(answer, query, "udp", logger);
    // The sender's port can be 0 in a forged packet; sending there throws.
    if (bytes === undefined || peer.port === 0) return;
    socket.send(bytes, peer.port, peer.address, (error) => {
      if (error !== null) logger.debug("DNS answer not sent", { peer: peer.address, error });
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

/** Answers the queries of a connection in their order; a peer that does not read is not read from. */
function serveConnection(socket: Socket, options: DnsServerOptions): void {
  const { answer, logger } = options;
  socket.on("error", (error) => logger.debug("DNS connection failed", { error }));
  socket.setTimeout(options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS, () => socket.destroy());
  const reader = new FrameReader((query) => {
    const bytes = answerSafely(answer, query, "tcp", logger);
    // RFC 7766 gives no way to say "no answer" on a connection: what is no query ends it.
    if (bytes === undefined) socket.destroy();
    if (bytes === undefined || socket.destroyed) return false;
    const more = socket.write(frame(bytes));
    if (!more) socket.pause();
    return more;
  });
  socket.on("drain", () => {
    if (reader.resume()) socket.resume();
  });
  socket.on("data", (piece) => reader.push(piece));
}

function answerSafely(
  answer: DnsAnswerer,
  query: Buffer,
  transport: "udp" | "tcp",
  logger: Logger,
): Buffer | undefined {
  try {
    return answer(query, transport);
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
