import type { Socket } from "node:net";

import { systemErrorCode, type TimerWheel, type WheelTimer } from "@tulle/base";

import type { Http2Handler, Http2Options, Http2Session } from "../http2/contract.js";
import { createClientSession, createServerSession } from "../http2/session.js";
import { openChannel, type ByteChannel } from "./byte-channel.js";
import type { FlushQueue } from "./flush-queue.js";
import { SocketWriter, type WriterEvents } from "./socket-writer.js";

/** How often a connection with streams looks at its time limits; one without looks more rarely. */
const TICK_MS = 1000;
const IDLE_TICK_MS = 5000;
/** How long a closing connection waits for the peer to take the last bytes. */
const LINGER_MS = 1000;
/** And how much it still takes: who sends more has not stopped, and will not read our last bytes. */
const LINGER_BYTES = 1024 * 1024;
/** Output memory to begin with: a full frame with what comes before it. */
const OUTPUT_BYTES = 32 * 1024;

/** Takes a session's events and the transport's own. */
export interface Http2TransportOwner extends Http2Handler {
  /** Every second or, without streams, every five. */
  onTick(nowMs: number): void;
  /** The socket is gone. `detail`: system error code, "" when it just closed. Called once, last. */
  onTransportClosed(detail: string): void;
}

/**
 * Joins an HTTP/2 session with its socket: reads, batched writes, time. Requests beyond what the session takes from one
 * read wait for the next turn, and the socket with them.
 */
export class Http2Transport implements WriterEvents {
  readonly session: Http2Session;
  readonly writer: SocketWriter;
  readonly #socket: Socket;
  readonly #channel: ByteChannel;
  readonly #owner: Http2TransportOwner;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer;
  /** Read and not yet taken by the session. The socket stands still while there is any. */
  #rest: Buffer | undefined;
  #ticksRarely = false;
  #closing = false;
  /** Taken since. */
  #discarded = 0;
  #lastReadMs: number;
  #errorCode = "";

  constructor(
    side: "server" | "client",
    socket: Socket,
    owner: Http2TransportOwner,
    queue: FlushQueue,
    wheel: TimerWheel,
    options: Http2Options,
  ) {
    this.#socket = socket;
    this.#owner = owner;
    this.#wheel = wheel;
    this.#lastReadMs = wheel.nowMs;
    this.#channel = openChannel(socket);
    const { maxOutputBytes = OUTPUT_BYTES } = options;
    this.writer = new SocketWriter(socket, this.#channel, queue, this, {
      initialBytes: Math.min(OUTPUT_BYTES, 2 * maxOutputBytes),
    });
    const create = side === "server" ? createServerSession : createClientSession;
    this.session = create(owner, this.writer.sink, options);
    this.#timer = wheel.timer(() => this.#onTimer());
    this.#timer.arm(TICK_MS);
    socket.on("end", () => this.#onEndOfStream());
    socket.on("error", (error) => {
      this.#errorCode = systemErrorCode(error) ?? error.message;
    });
    socket.on("close", () => this.#onClose());
    this.#channel.start((bytes, end) => this.#onBytes(bytes, end));
    this.writer.commit();
  }

  /** Whether frames may still go out. */
  get open(): boolean {
    return !this.#closing && !this.#socket.destroyed && this.#socket.writable;
  }

  /** Monotonic milliseconds. */
  get nowMs(): number {
    return this.#wheel.nowMs;
  }

  /** When the peer was last heard, monotonic milliseconds. */
  get lastReadMs(): number {
    return this.#lastReadMs;
  }

  /** After every call of the session: what it wrote leaves at the end of the turn. */
  commit(): void {
    this.writer.commit();
  }

  /** As the session's. */
  linger(streamId: number): void {
    this.session.linger(streamId, this.nowMs);
    this.commit();
    if (!this.#ticksRarely) return;
    this.#ticksRarely = false;
    this.#timer.arm(TICK_MS);
  }

  /** Sends what is written, then closes. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#rest = undefined;
    this.writer.end();
    this.#channel.resume();
    this.#timer.arm(LINGER_MS);
  }

  /** `detail`: what the owner is told when there is no error of the socket. */
  destroy(detail = ""): void {
    if (this.#errorCode === "") this.#errorCode = detail;
    this.#socket.destroy();
  }

  #onBytes(bytes: Buffer, end: number): void {
    if (this.#closing) {
      this.#discarded += end;
      if (this.#discarded > LINGER_BYTES) this.#socket.destroy();
      return;
    }
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest, bytes.subarray(0, end)]);
      return;
    }
    const consumed = this.#feed(bytes, end);
    if (consumed === end || this.#closing) return;
    // The memory is lent for this turn only.
    this.#rest = Buffer.from(bytes.subarray(consumed, end));
    this.#channel.pause();
    setImmediate(this.#feedRest);
  }

  /** Returns what the session took. */
  #feed(bytes: Buffer, end: number): number {
    this.#lastReadMs = this.#wheel.nowMs;
    const consumed = this.session.execute(bytes, 0, end, this.#lastReadMs);
    this.writer.commit();
    if (this.session.error !== undefined) this.close();
    return consumed;
  }

  readonly #feedRest = (): void => {
    const rest = this.#rest;
    if (rest === undefined || this.#socket.destroyed) return;
    const consumed = this.#feed(rest, rest.length);
    if (this.#closing) return;
    if (consumed < rest.length) {
      // A view: copied every turn, 64 KiB of small requests would be some megabytes.
      this.#rest = rest.subarray(consumed);
      setImmediate(this.#feedRest);
    } else {
      this.#rest = undefined;
      this.#channel.resume();
    }
  };

  /** From the writer. */
  onFlushed(): void {
    this.session.flushed(this.writer.pendingBytes);
    this.writer.commit();
  }

  #onTimer(): void {
    if (this.#closing) {
      this.#socket.destroy();
      return;
    }
    const nowMs = this.#wheel.nowMs;
    this.session.tick(nowMs);
    if (this.session.error === undefined) this.#owner.onTick(nowMs);
    this.writer.commit();
    if (this.session.error !== undefined) this.close();
    if (this.#closing) return;
    const idle = this.session.openStreams === 0;
    this.#ticksRarely = idle;
    this.#timer.arm(idle ? IDLE_TICK_MS : TICK_MS);
  }

  /** The peer ended its side: whatever is under way can no longer be agreed upon. */
  #onEndOfStream(): void {
    if (!this.#closing) this.#socket.destroy();
  }

  #onClose(): void {
    this.#timer.disarm();
    this.#closing = true;
    this.#rest = undefined;
    this.#owner.onTransportClosed(this.#errorCode);
  }
}
