import type { Socket } from "node:net";

import type { ServerConnection } from "../connection/server-connection.js";
import type { TimerWheel, WheelTimer } from "@tulle/base";
import { readFirstBytes, type FirstBytes } from "./first-bytes.js";
import type { LearntPorts } from "./learnt-ports.js";

/** First bytes that have come in part must be decisive within; after that they are as good as any others. */
const PARTIAL_TIMEOUT_MS = 10_000;
/** A client that says nothing while its server cannot be reached is told so after. */
const UNREACHABLE_TIMEOUT_MS = 1000;
/** Nobody says anything: as long as a connection may be idle that has been served. */
const IDLE_TIMEOUT_MS = 3_600_000;
const NOTHING = Buffer.alloc(0);
const SERVER_FIRST = { kind: "server-first" } as const;

/** What detections share. */
export interface DetectionContext {
  /** Of fine ticks, for silence, and of coarse ones, for everything that should not happen. */
  readonly fineWheel: TimerWheel;
  readonly coarseWheel: TimerWheel;
  readonly ports: LearntPorts;
}

/** A way to the server that is open, or about to be, while nobody knows whether it is needed. */
export interface Opening {
  /** Nobody needs it. */
  abandon(): void;
}

/** Is told what the server does before its client has spoken. At most one of the two is called, once. */
export interface OpeningListener {
  /** It spoke or, with `false`, ended without a word. */
  onServerFirst(spoke: boolean): void;
  /** There is none, or it broke off. */
  onUnreachable(): void;
}

/**
 * How a detection ended. `left`: the client ended without a word, and no way was open yet. `silent`: there was nothing to
 * be heard from either side.
 */
export type Found = Verdict | { readonly kind: "left" | "silent" };

/** What is learnt from a connection. */
export type Verdict = FirstBytes | { readonly kind: "server-first" };

/** Whose connection it is. */
export interface DetectionOwner<Way extends Opening> {
  /** How long the client may say nothing before the way to the server is opened, milliseconds. */
  readonly silenceMs: number;
  /** Opens the way to the server, for one that speaks first. Undefined: there is none before the client has spoken. */
  open(listener: OpeningListener): Way | undefined;
  /** Who spoke first, and what; called before `take`, unless nobody has spoken. */
  learn(verdict: Verdict): void;
  /**
   * Takes the connection over: its socket is paused, `head` is what was read from it, and may have ended. `way` is to be
   * used or abandoned.
   */
  take(found: Found, head: Buffer, way: Way | undefined): void;
  /** The client is gone, or the connection was closed. */
  gone(): void;
}

/**
 * Finds out what a connection carries by who speaks first. Nothing is taken for granted: a client that stays silent may
 * wait for the server, so the way to it is opened, and whoever speaks first decides.
 *
 * ```
 *  silence ──(silenceMs)──► way open ──► server speaks: bytes, at once
 *     │                        │
 *     └────────┬───────────────┘
 *        client speaks: HTTP, TLS or bytes, by what it says
 * ```
 */
export class Detection<Way extends Opening> implements ServerConnection, OpeningListener {
  readonly #socket: Socket;
  readonly #owner: DetectionOwner<Way>;
  readonly #silence: WheelTimer;
  #pending: NodeJS.Immediate | undefined;
  /** For what should not happen: see the constants above. */
  readonly #patience: WheelTimer;
  #head: Buffer = NOTHING;
  /** So many bytes there must be for another look. */
  #needed = 1;
  #way: Way | undefined;
  #unreachable = false;
  #done = false;

  /** The socket is paused, or not read yet, and its `error` event has a listener. */
  constructor(
    socket: Socket,
    owner: DetectionOwner<Way>,
    context: Pick<DetectionContext, "fineWheel" | "coarseWheel">,
  ) {
    this.#socket = socket;
    this.#owner = owner;
    // A busy process has what came meanwhile still to read: it does so before the immediate.
    this.#silence = context.fineWheel.timer(() => (this.#pending = setImmediate(() => this.#open())));
    this.#patience = context.coarseWheel.timer(() =>
      this.#take({ kind: this.#head.length > 0 ? "tcp" : "silent" }),
    );
  }

  /** Begins; call once. */
  start(): void {
    const socket = this.#socket;
    if (socket.destroyed) {
      this.destroy();
      return;
    }
    this.#patience.arm(IDLE_TIMEOUT_MS);
    const { silenceMs } = this.#owner;
    if (silenceMs > 0) this.#silence.arm(silenceMs);
    else this.#open();
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
    socket.resume();
  }

  get busy(): boolean {
    return this.#head.length > 0;
  }

  drain(): void {
    this.destroy();
  }

  destroy(): void {
    if (!this.#leave()) return;
    this.#way?.abandon();
    this.#socket.destroy();
    this.#owner.gone();
  }

  onServerFirst(spoke: boolean): void {
    if (this.#done) return;
    if (spoke) this.#owner.learn(SERVER_FIRST);
    this.#take(SERVER_FIRST);
  }

  onUnreachable(): void {
    if (this.#done) return;
    this.#unreachable = true;
    this.#way = undefined;
    // What the client says, if it does, may be for somebody who can answer that the server is not there.
    if (this.#head.length === 0) this.#patience.arm(UNREACHABLE_TIMEOUT_MS);
  }

  #open(): void {
    if (this.#done) return;
    const way = this.#owner.open(this);
    if (way === undefined) this.onUnreachable();
    else if (!this.#unreachable) this.#way = way;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    if (this.#head.length < this.#needed) return;
    const found = readFirstBytes(this.#head);
    if (typeof found !== "number") {
      this.#owner.learn(found);
      this.#take(found);
      return;
    }
    if (this.#needed === 1) this.#patience.arm(PARTIAL_TIMEOUT_MS);
    this.#needed = found;
  };

  readonly #onEnd = (): void => {
    if (this.#head.length > 0 || this.#way !== undefined) this.#take({ kind: "tcp" });
    else this.#take({ kind: "left" });
  };

  readonly #onClose = (): void => this.destroy();

  #take(found: Found): void {
    if (!this.#leave()) return;
    this.#socket.pause();
    this.#owner.take(found, this.#head, this.#way);
  }

  /** Lets go of the socket. Returns whether it was held. */
  #leave(): boolean {
    if (this.#done) return false;
    this.#done = true;
    this.#silence.disarm();
    clearImmediate(this.#pending);
    this.#patience.disarm();
    const socket = this.#socket;
    socket.removeListener("data", this.#onData);
    socket.removeListener("end", this.#onEnd);
    socket.removeListener("close", this.#onClose);
    return true;
  }
}
