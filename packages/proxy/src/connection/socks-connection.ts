import type { Socket } from "node:net";

import { formatAddress, type WheelTimer } from "@tulle/base";
import {
  NO_FIELDS,
  readSocks5Greeting,
  readSocks5Request,
  socks5Greeting,
  Socks5Reply,
  socks5Reply,
  type Socks5Refusal,
} from "@tulle/http";

import { plainAddress } from "../listener/plain-address.js";
import type { LimitValues } from "../limits/limit-table.js";
import type { DownstreamStream, RequestHandler, RequestSource } from "../stream/contract.js";
import type { ServerConnection, ServerConnectionContext } from "./server-connection.js";

const NOTHING = Buffer.alloc(0);

const enum Phase {
  GREETING,
  REQUEST,
  /** Who is asked for is looked for. */
  EXCHANGE,
  /** Handed on, or about to be closed. */
  OVER,
}

/**
 * A connection of a client that speaks SOCKS 5 (RFC 1928). What it asks for is what HTTP asks for by CONNECT, so it is an
 * exchange of that kind, whose answer is told in the words of SOCKS; what follows is the connection that was asked for.
 */
export class SocksConnection implements ServerConnection, DownstreamStream {
  readonly http2 = false;
  readonly protocol = "SOCKS5";
  readonly #socket: Socket;
  readonly #source: RequestSource;
  readonly #context: ServerConnectionContext;
  readonly #exchange: RequestHandler;
  readonly #limits: LimitValues;
  readonly #timer: WheelTimer;
  #phase: Phase = Phase.GREETING;
  /** Read and not used yet: a message in part, or what the client says to whom it asked for. */
  #rest: Buffer = NOTHING;
  #status = 0;

  /** The socket is paused, its bytes are put back, and its `error` event has a listener. */
  constructor(socket: Socket, source: RequestSource, context: ServerConnectionContext) {
    this.#socket = socket;
    this.#source = source;
    this.#context = context;
    this.#limits = context.limits.of(source).values;
    this.#exchange = context.createExchange(this, source);
    this.#timer = context.coarseWheel.timer(() => this.#onTimer());
    this.#timer.arm(this.#limits["connection.headerTimeoutMs"]);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.once("close", this.#onClose);
    socket.resume();
  }

  get busy(): boolean {
    return this.#phase !== Phase.OVER;
  }

  drain(): void {
    if (this.#phase < Phase.EXCHANGE) this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // DownstreamStream: of an answer only the status matters.

  writeInterim(): void {}

  writeHead(status: number): void {
    this.#status = status;
  }

  writeSwitched(): void {}

  writeConnected(authority: string): void {
    const socket = this.#socket;
    socket.write(socks5Reply(Socks5Reply.SUCCEEDED));
    this.#release();
    socket.pause();
    if (this.#rest.length > 0) socket.unshift(this.#rest);
    this.#rest = NOTHING;
    this.#source.connects?.accept(socket, authority);
  }

  writeBody(): boolean {
    return true;
  }

  writeEnd(): void {
    this.#end(socks5Reply(replyOf(this.#status)));
  }

  reset(): void {
    this.destroy();
  }

  pauseRequest(): void {}

  resumeRequest(): void {}

  // Socket

  readonly #onData = (chunk: Buffer): void => {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.#phase === Phase.GREETING) this.#greet();
    if (this.#phase === Phase.REQUEST) this.#ask();
    // What comes early waits, in the socket, too.
    else if (this.#phase === Phase.EXCHANGE) this.#socket.pause();
  };

  #greet(): void {
    const read = readSocks5Greeting(this.#rest);
    if (read === undefined) return;
    if ("refused" in read) {
      this.#refuse(read);
      return;
    }
    this.#rest = this.#rest.subarray(read.length);
    this.#phase = Phase.REQUEST;
    this.#socket.write(socks5Greeting());
  }

  #ask(): void {
    const read = readSocks5Request(this.#rest);
    if (read === undefined) return;
    if ("refused" in read) {
      this.#refuse(read);
      return;
    }
    this.#rest = this.#rest.subarray(read.length);
    this.#phase = Phase.EXCHANGE;
    this.#timer.disarm();
    const authority = formatAddress(plainAddress(read.host), read.port);
    this.#exchange.onRequestHead(
      {
        method: "CONNECT",
        target: authority,
        minorVersion: 1,
        headers: NO_FIELDS,
        framing: "none",
        contentLength: 0,
        keepAlive: false,
        expectContinue: false,
        upgrade: "",
        host: authority,
      },
      false,
    );
  }

  #refuse({ refused, bytes }: Socks5Refusal): void {
    this.#context.onSocksRefusal(refused, this.#source);
    this.#end(bytes);
  }

  /** Says the last word. What still comes is thrown away: unread, it would make the kernel take the word back. */
  #end(bytes: Buffer): void {
    const socket = this.#socket;
    this.#release();
    this.#rest = NOTHING;
    if (bytes.length === 0) socket.destroy();
    else socket.end(bytes);
    socket.once("end", () => socket.destroy());
    this.#timer.arm(this.#limits["connection.headerTimeoutMs"]);
    socket.once("close", () => this.#timer.disarm());
    socket.resume();
  }

  #release(): void {
    const socket = this.#socket;
    this.#phase = Phase.OVER;
    this.#timer.disarm();
    socket.removeListener("data", this.#onData);
    socket.removeListener("end", this.#onEnd);
    socket.removeListener("close", this.#onClose);
  }

  #onTimer(): void {
    const name = "connection.headerTimeoutMs";
    if (this.#phase !== Phase.OVER)
      this.#context.onLimit(name, this.#limits[name], this.#source.remoteAddress);
    this.destroy();
  }

  readonly #onEnd = (): void => this.destroy();

  readonly #onClose = (): void => {
    this.#release();
    this.#exchange.onDownstreamClose();
  };
}

/** In the words of SOCKS, why HTTP's CONNECT is answered by a status. */
function replyOf(status: number): number {
  if (status === 404) return Socks5Reply.HOST_UNREACHABLE;
  // Blocked by the policy for unknown hosts, or this proxy itself.
  if (status === 502 || status === 508) return Socks5Reply.NOT_ALLOWED;
  return Socks5Reply.GENERAL_FAILURE;
}
