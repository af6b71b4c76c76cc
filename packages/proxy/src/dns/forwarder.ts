import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";

import type { Clock } from "@tulle/base";
import { frame, FrameReader, isAnswerTo, withId, type DnsTransport, type Query } from "@tulle/dns";

export interface ForwarderOptions {
  /** Asked in this order until one answers. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly clock: Clock;
  /** An unguessable message id, 0 to 65,535. */
  readonly newId: () => number;
  /** All servers together have so long, milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /** Queries under way at once; more fail at once. Default 512. */
  readonly maxPending?: number;
}

const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_MAX_PENDING = 512;

/**
 * Asks the system's DNS servers. Each question goes from a socket of its own, so from a random port, connected to its
 * server, with a random id; only an answer from there with this id and question counts (RFC 5452). Over the transport
 * that the client used: an answer that was cut over UDP stays cut, and the client asks again over TCP.
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #perServerMs: number;
  readonly #maxPending: number;
  #pending = 0;
  /** Local ports of questions under way. */
  readonly #ports = new Set<number>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#maxPending = options.maxPending ?? DEFAULT_MAX_PENDING;
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#perServerMs = Math.ceil(timeoutMs / Math.max(options.servers.length, 1));
  }

  /** Whether a question came from here: rules that redirect the sidecar's own DNS would lead it to itself for ever. */
  owns(port: number): boolean {
    return this.#ports.has(port);
  }

  /** The answer with the client's id, or undefined when none came. `message` is the query as the client sent it. */
  async ask(message: Buffer, query: Query, transport: DnsTransport): Promise<Buffer | undefined> {
    if (this.#pending >= this.#maxPending) return undefined;
    this.#pending++;
    try {
      for (const server of this.#options.servers) {
        const id = this.#options.newId();
        const asked = withId(message, id);
        const isAnswer = (answer: Buffer): boolean => isAnswerTo(answer, id, query.question);
        const exchange = transport === "udp" ? overUdp : overTcp;
        const answer = await exchange(server, asked, isAnswer, {
          clock: this.#options.clock,
          timeoutMs: this.#perServerMs,
          ports: this.#ports,
        });
        if (answer !== undefined) return withId(answer, query.id);
      }
      return undefined;
    } finally {
      this.#pending--;
    }
  }
}

interface Server {
  readonly host: string;
  readonly port: number;
}

interface Limits {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Holds the exchange's local port while it lasts. */
  readonly ports: Set<number>;
}

function overUdp(
  server: Server,
  message: Buffer,
  isAnswer: (answer: Buffer) => boolean,
  { clock, timeoutMs, ports }: Limits,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(server.host.replace(/%.*$/, "")) ? "udp6" : "udp4");
    let done = false;
    let port = 0;
    const finish = (answer: Buffer | undefined): void => {
      if (done) return;
      done = true;
      timer[Symbol.dispose]();
      ports.delete(port);
      socket.close();
      resolve(answer);
    };
    const timer = clock.setTimeout(() => finish(undefined), timeoutMs, { keepAlive: false });
    // "Port unreachable" comes as an error, too.
    socket.on("error", () => finish(undefined));
    socket.on("message", (answer) => {
      if (isAnswer(answer)) finish(answer);
    });
    // Connected: the kernel drops what other addresses send.
    socket.connect(server.port, server.host, () => {
      if (done) return;
      ({ port } = socket.address());
      ports.add(port);
      socket.send(message);
    });
  });
}

function overTcp(
  server: Server,
  message: Buffer,
  isAnswer: (answer: Buffer) => boolean,
  { clock, timeoutMs, ports }: Limits,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server.host, port: server.port });
    let port = 0;
    const finish = (answer: Buffer | undefined): void => {
      timer[Symbol.dispose]();
      ports.delete(port);
      socket.destroy();
      resolve(answer);
    };
    const timer = clock.setTimeout(() => finish(undefined), timeoutMs, { keepAlive: false });
    // One answer is due on this connection: what is none ends it.
    const reader = new FrameReader((answer) => {
      finish(isAnswer(answer) ? Buffer.from(answer) : undefined);
      return false;
    });
    socket.on("error", () => finish(undefined));
    socket.on("close", () => finish(undefined));
    socket.on("data", (piece) => reader.push(piece));
    socket.on("connect", () => {
      port = socket.localPort ?? 0;
      ports.add(port);
      socket.write(frame(message));
    });
  });
}
