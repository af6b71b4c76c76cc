import type { HeaderList } from "../contract.js";
import { GrowingBuffer } from "../growing-buffer.js";
import type {
  Http2Handler,
  Http2Head,
  Http2Options,
  Http2PeerSettings,
  Http2Refusal,
  Http2Session,
} from "../http2/contract.js";
import { createClientSession, createServerSession } from "../http2/session.js";
import { type SentFrame, parseFrames } from "./http2-frames.js";

/** What a session told its handler; adjacent body pieces of a stream are joined. */
export type Http2Event =
  | { readonly type: "headers"; readonly id: number; readonly head: Http2Head }
  | { readonly type: "data"; readonly id: number; readonly text: string }
  | { readonly type: "trailers"; readonly id: number; readonly trailers: HeaderList }
  | { readonly type: "end"; readonly id: number }
  | {
      readonly type: "reset";
      readonly id: number;
      readonly code: number;
      readonly refusal: string | undefined;
    }
  | { readonly type: "goaway"; readonly last: number; readonly code: number }
  | { readonly type: "refused"; readonly id: number; readonly code: string }
  | { readonly type: "drained" }
  | { readonly type: "ping" }
  | { readonly type: "error"; readonly code: number; readonly refusal: string };

/** A session under test with its handler and its output. Consumes body bytes at once unless `consumes` is false. */
export class Peer implements Http2Handler {
  readonly sink = new GrowingBuffer({ maxBytes: 1 << 24 });
  readonly session: Http2Session;
  readonly events: Http2Event[] = [];
  consumes = true;
  nowMs = 1;
  settings: Http2PeerSettings | undefined;
  /** Called after each event. */
  after: (event: Http2Event) => void = () => {};
  onWritable: (streamId: number) => void = () => {};

  constructor(role: "server" | "client", options?: Http2Options) {
    this.session =
      role === "server"
        ? createServerSession(this, this.sink, options)
        : createClientSession(this, this.sink, options);
  }

  /** Feeds bytes in segments that end at `cuts`, each overwritten after: the session must keep no reference. */
  feed(bytes: Buffer, cuts: readonly number[] = []): void {
    let start = 0;
    for (const end of [...cuts, bytes.length]) {
      const segment = Buffer.concat([Buffer.from("pad"), bytes.subarray(start, end), Buffer.from("pad")]);
      const last = 3 + end - start;
      let at = 3;
      while (at < last && this.session.error === undefined) {
        at += this.session.execute(segment, at, last, this.nowMs);
      }
      segment.fill(0xee);
      start = end;
    }
  }

  /** What was written since, as bytes; the socket took all of it. */
  output(): Buffer {
    const bytes = Buffer.from(this.sink.view());
    this.sink.reset();
    this.session.flushed(0);
    return bytes;
  }

  /** What was written since, taken apart. */
  frames(): SentFrame[] {
    return parseFrames(this.output());
  }

  get heads(): Http2Head[] {
    return this.events.flatMap((event) => (event.type === "headers" ? [event.head] : []));
  }

  of<T extends Http2Event["type"]>(type: T): Extract<Http2Event, { type: T }>[] {
    return this.events.filter((event): event is Extract<Http2Event, { type: T }> => event.type === type);
  }

  onHeaders(id: number, head: Http2Head): void {
    this.#add({ type: "headers", id, head });
  }

  onData(id: number, chunk: Buffer, start: number, end: number): void {
    const text = chunk.toString("latin1", start, end);
    if (this.consumes) this.session.consume(id, end - start);
    const last = this.events.at(-1);
    if (last?.type === "data" && last.id === id) this.events.pop();
    this.#add({ type: "data", id, text: last?.type === "data" && last.id === id ? last.text + text : text });
  }

  onTrailers(id: number, trailers: HeaderList): void {
    this.#add({ type: "trailers", id, trailers });
  }

  onStreamEnd(id: number): void {
    this.#add({ type: "end", id });
  }

  onReset(id: number, code: number, refusal: Http2Refusal | undefined): void {
    this.session.release(id);
    this.#add({ type: "reset", id, code, refusal: refusal?.code });
  }

  onGoAway(last: number, code: number): void {
    this.#add({ type: "goaway", last, code });
  }

  onSettings(settings: Http2PeerSettings): void {
    this.settings = settings;
  }

  onPingAck(): void {
    this.#add({ type: "ping" });
  }

  onStreamRefused(id: number, refusal: Http2Refusal): void {
    this.#add({ type: "refused", id, code: refusal.code });
  }

  onDrained(): void {
    this.#add({ type: "drained" });
  }

  onConnectionError(code: number, refusal: Http2Refusal): void {
    this.#add({ type: "error", code, refusal: refusal.code });
  }

  #add(event: Http2Event): void {
    this.events.push(event);
    this.after(event);
  }
}

/** Carries bytes between two sessions until both are quiet. */
export function settle(one: Peer, other: Peer): void {
  for (let turn = 0; turn < 100_000; turn++) {
    const there = one.output();
    other.feed(there);
    const back = other.output();
    one.feed(back);
    if (there.length === 0 && back.length === 0) return;
  }
  throw new Error("the sessions never came to rest");
}
