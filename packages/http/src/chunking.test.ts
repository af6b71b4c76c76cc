import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { RequestHead, ResponseHead } from "./contract.js";
import { writeLastChunk, writeRequestHead, writeResponseHead } from "./encode.js";
import { GrowingBuffer } from "./growing-buffer.js";
import { createRequestParser } from "./request-parser.js";
import { createResponseParser } from "./response-parser.js";
import { Recorder, feed } from "./testing/record-events.js";
import { writeChunk } from "./testing/write-chunk.js";

const token = fc.stringMatching(/^[!#$%&'*+.^`|~0-9A-Za-z-]{1,20}$/);
const fieldName = token.map((name) => `X-${name}`);
const fieldValue = fc.stringMatching(
  /^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,40}[\x21-\x7e\x80-\xff])?$/,
);
const fields = fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 8 }).map((pairs) => pairs.flat());
const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 4 });
const message = fc.record({
  method: token,
  path: fc.stringMatching(/^[\x21\x22\x24-\x7e]{0,30}$/),
  fields,
  pieces,
  chunked: fc.boolean(),
  trailers: fields,
});
type Message = typeof message extends fc.Arbitrary<infer T> ? T : never;

function writeBody(sink: GrowingBuffer, { pieces, chunked, trailers }: Message): void {
  for (const piece of pieces) {
    if (chunked) writeChunk(sink, Buffer.from(piece), 0, piece.length);
    else sink.writeBytes(Buffer.from(piece), 0, piece.length);
  }
  if (chunked) writeLastChunk(sink, trailers);
}

function framingFields({ pieces, chunked }: Message): string[] {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return chunked ? ["Transfer-Encoding", "chunked"] : ["Content-Length", String(length)];
}

function bodyEvents({ pieces, chunked, trailers }: Message): unknown[] {
  const text = Buffer.concat(pieces).toString("latin1");
  return [
    ...(text === "" ? [] : [{ type: "body", text }]),
    { type: "end", trailers: chunked ? trailers : [] },
  ];
}

function cutsFor(length: number, seeds: readonly number[]): number[] {
  return [...new Set(seeds.map((seed) => seed % length))].filter((cut) => cut > 0).sort((a, b) => a - b);
}

test("createRequestParser reads back what writeRequestHead and the chunk encoders wrote, however it is split", () => {
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      (messages, seeds) => {
        const sink = new GrowingBuffer();
        const expected: unknown[] = [];
        for (const each of messages) {
          const headers = ["Host", "a", ...each.fields, ...framingFields(each)];
          const method = each.method === "CONNECT" ? "GET" : each.method;
          writeRequestHead(sink, method, `/${each.path}`, headers);
          writeBody(sink, each);
          expected.push({
            type: "head",
            head: expect.objectContaining({ method, target: `/${each.path}`, headers }),
          });
          expected.push(...bodyEvents(each));
        }
        const recorder = new Recorder<RequestHead>();
        const parser = createRequestParser(recorder);
        const bytes = sink.view();
        feed(parser, bytes, cutsFor(bytes.length, seeds));
        expect(parser.error).toBeUndefined();
        expect(recorder.events).toEqual(expected);
        expect(parser.idle).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});

test("createResponseParser reads back what writeResponseHead wrote, however it is split", () => {
  const status = fc.integer({ min: 200, max: 599 }).filter((code) => code !== 204 && code !== 304);
  const reason = fc.oneof(fc.constant(""), fieldValue);
  fc.assert(
    fc.property(
      message,
      status,
      reason,
      fc.array(fc.nat(), { maxLength: 30 }),
      (each, status, reason, seeds) => {
        const sink = new GrowingBuffer();
        const headers = [...each.fields, ...framingFields(each)];
        writeResponseHead(sink, status, reason, headers);
        writeBody(sink, each);
        const recorder = new Recorder<ResponseHead>();
        const parser = createResponseParser(recorder);
        parser.expect("GET");
        const bytes = sink.view();
        feed(parser, bytes, cutsFor(bytes.length, seeds));
        expect(parser.error).toBeUndefined();
        expect(recorder.events).toEqual([
          { type: "head", head: expect.objectContaining({ status, reason, headers }) },
          ...bodyEvents(each),
        ]);
      },
    ),
    { numRuns: 300 },
  );
});

test("both parsers never throw and stay refused when fed arbitrary bytes, and agree on any split whether to refuse", () => {
  const fragments = fc.constantFrom(
    "GET / HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "Host: a\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\n",
    "\r\n",
    "5\r\nabcde\r\n",
    "0\r\n",
    '5;a="b"\r\n',
    "\r",
    "\n",
    " ",
    "\0",
    "abcde",
    ":",
  );
  const noise = fc.oneof(
    { weight: 4, arbitrary: fragments.map((text) => Buffer.from(text, "latin1")) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)) },
  );
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 14 }), fc.array(fc.nat(), { maxLength: 20 }), (parts, seeds) => {
      const bytes = Buffer.concat(parts);
      for (const requests of [true, false]) {
        const outcomes = [[], cutsFor(Math.max(1, bytes.length), seeds)].map((cuts) => {
          const recorder = new Recorder<RequestHead & ResponseHead>();
          const parser = requests ? createRequestParser(recorder) : expectingParser(recorder);
          feed(parser, bytes, cuts);
          const refused = parser.error !== undefined;
          if (refused) expect(parser.execute(bytes, 0, bytes.length)).toBe(0);
          parser.finish();
          return {
            finished: parser.error !== undefined,
            ends: recorder.events.filter(({ type }) => type === "end"),
          };
        });
        expect(outcomes[1]).toEqual(outcomes[0]);
      }
    }),
    { numRuns: 1500 },
  );
});

test("createRequestParser looks at each byte of a head a bounded number of times when it comes a byte a segment", () => {
  const head = `GET / HTTP/1.1\r\nHost: a\r\n${`X: ${"x".repeat(700)}\r\n`.repeat(60)}\r\n`;
  const bytes = Buffer.from(head);
  let reads = 0;
  const counted = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) reads++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const recorder = new Recorder<RequestHead>();
  const parser = createRequestParser(recorder);
  for (let i = 0; i < bytes.length; i++) parser.execute(counted, i, i + 1);
  expect(recorder.heads).toHaveLength(1);
  expect(reads).toBeLessThan(8 * bytes.length);
});

function expectingParser(
  recorder: Recorder<ResponseHead & RequestHead>,
): ReturnType<typeof createResponseParser> {
  const parser = createResponseParser(recorder);
  parser.expect("GET");
  return parser;
}
