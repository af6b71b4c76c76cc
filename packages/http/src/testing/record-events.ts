import type { Http1Handler, Http1Parser, RequestHead, ResponseHead } from "../contract.js";

/** What a parser told its handler: heads as they are, each body joined, trailers. */
export type RecordedEvent<Head> =
  | { readonly type: "head"; readonly head: Head }
  | { readonly type: "body"; readonly text: string }
  | { readonly type: "end"; readonly trailers: readonly string[] };

/** A handler for tests that writes down what it is told; adjacent body pieces are joined. */
export class Recorder<Head extends RequestHead | ResponseHead> implements Http1Handler<Head> {
  readonly events: RecordedEvent<Head>[] = [];
  /** Called after each event, to pause or to expect the next response. */
  after: (type: "head" | "body" | "end") => void = () => {};

  onHead(head: Head): void {
    this.events.push({ type: "head", head });
    this.after("head");
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    const text = chunk.toString("latin1", start, end);
    const last = this.events.at(-1);
    if (last?.type === "body") this.events[this.events.length - 1] = { type: "body", text: last.text + text };
    else this.events.push({ type: "body", text });
    this.after("body");
  }

  onEnd(trailers: string[]): void {
    this.events.push({ type: "end", trailers });
    this.after("end");
  }

  /** The first head. Throws when there is none. */
  get head(): Head {
    const [first] = this.heads;
    if (first === undefined) throw new Error("no head was reported");
    return first;
  }

  get heads(): Head[] {
    return this.events.flatMap((event) => (event.type === "head" ? [event.head] : []));
  }
}

/** Feeds `bytes` in segments that end at each of `cuts` (sorted indexes), each in a buffer of its own, overwritten after. */
export function feed(parser: Http1Parser, bytes: Buffer, cuts: readonly number[] = []): void {
  let start = 0;
  for (const end of [...cuts, bytes.length]) {
    // An offset that is not 0, stale bytes behind the end, and overwriting: the parser must keep no reference.
    const segment = Buffer.concat([
      Buffer.from("\r\n\r\n"),
      bytes.subarray(start, end),
      Buffer.from("\r\n\r\n"),
    ]);
    parser.execute(segment, 4, 4 + end - start);
    segment.fill(0x58);
    start = end;
    if (parser.error !== undefined) return;
  }
}

/** The three deliveries that every message is tried in: whole, a byte a segment, and cut before, in and after each CRLF. */
export function deliveries(bytes: Buffer): Map<string, number[]> {
  const everyByte = Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1);
  const aroundLineEnds = new Set<number>();
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === 0x0d || bytes[i] === 0x0a) aroundLineEnds.add(i).add(i + 1);
  }
  const cuts = [...aroundLineEnds].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b);
  return new Map([
    ["whole", []],
    ["a byte a segment", everyByte],
    ["cut at line ends", cuts],
  ]);
}
