import { appendFileSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { RequestHead, ResponseHead } from "./contract.js";
import type { Http2Head } from "./http2/contract.js";
import { createRequestParser } from "./request-parser.js";
import { createResponseParser } from "./response-parser.js";
import { Peer } from "./testing/http2-peer.js";
import { Recorder, deliveries, feed } from "./testing/record-events.js";
import { REFUSED_CONNECTIONS } from "./testing/refused-connections.js";
import { REFUSED } from "./testing/refused-requests.js";
import { REFUSED_STREAMS } from "./testing/refused-streams.js";
import { clientStart } from "./testing/http2-frames.js";

// Fuzzing of every codec from inputs that mattered: the corpus, and the tables of hostile input, mutated. Whatever the
// bytes are, a codec does not throw, and does the same however they are split. A counterexample is added to the corpus and
// replayed from then on.
//
//   FUZZ_SECONDS=60 [FUZZ_SEED=7] npx vitest run packages/http/src/corpus.test.ts

const CODECS = ["request", "response", "http2-server", "http2-client"] as const;
type Codec = (typeof CODECS)[number];

/** A line of the corpus. `bytes`: a character each. */
interface Entry {
  readonly codec: Codec;
  readonly bytes: string;
  readonly why: string;
}

const FILE = new URL("../corpus/corpus.jsonl", import.meta.url);
const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 0);
const SEED = process.env["FUZZ_SEED"];
/** Longer input takes its time byte by byte. */
const MAX_BYTES = 3000;

const corpus = readFileSync(FILE, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as Entry);

/** Everything that a codec told and wrote. */
function outcome(codec: Codec, bytes: Buffer, cuts: readonly number[]): unknown {
  if (codec === "request" || codec === "response") {
    const recorder = new Recorder<RequestHead & ResponseHead>();
    const responses = createResponseParser(recorder);
    responses.expect("GET");
    const parser = codec === "request" ? createRequestParser(recorder) : responses;
    feed(parser, bytes, cuts);
    const error = parser.error?.code;
    parser.finish();
    // What comes before a refusal may have been told or not; complete messages are.
    if (codec === "request") for (const head of recorder.heads) expectStrict(head);
    const ends = recorder.events.filter(({ type }) => type === "end").length;
    return { ends, refused: error !== undefined, events: error === undefined ? recorder.events : [] };
  }
  const role = codec === "http2-server" ? "server" : "client";
  const peer = new Peer(role);
  if (role === "client") {
    for (const method of ["GET", "HEAD"]) {
      const head = { method, scheme: "http", authority: "a", path: "/", protocol: "", headers: [] };
      peer.session.submitRequest(head, method === "HEAD");
    }
  }
  peer.feed(bytes, cuts);
  if (role === "server") for (const head of peer.heads) expectStrictHttp2(head);
  return {
    events: peer.events,
    output: peer.output().toString("hex"),
    error: peer.session.error?.code,
  };
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What is let through is a request by the letter of RFC 9112, said here once more and in another way than the parser's. */
function expectStrict({ method, target, minorVersion, headers }: RequestHead): void {
  expect(method).toMatch(TOKEN);
  expect(target).toMatch(/^[\x21-\x7e]+$/);
  const valuesOf = (name: string): readonly string[] =>
    headers.filter((_, i) => i % 2 === 1 && headers[i - 1]!.toLowerCase() === name);
  expectStrictFields(headers, TOKEN);
  const [lengths, codings] = [valuesOf("content-length"), valuesOf("transfer-encoding")];
  expect(lengths.length + codings.length).toBeLessThanOrEqual(1);
  for (const length of lengths) expect(length).toMatch(/^(?:0|[1-9][0-9]{0,15})$/);
  for (const coding of codings) expect(coding.toLowerCase()).toBe("chunked");
  if (minorVersion === 0) expect(codings).toEqual([]);
  else expect(valuesOf("host")).toHaveLength(1);
}

/** The same for HTTP/2: nothing that a line of HTTP/1.1 could not hold. */
function expectStrictHttp2({ method, scheme, authority, path, headers }: Http2Head): void {
  expect(method).toMatch(TOKEN);
  expect(["http", "https", ""]).toContain(scheme);
  expect(authority).toMatch(/^[!-~]*$/);
  expect(authority).not.toMatch(/[/?#@\\]/);
  expect(path).toMatch(/^(?:\/[\x21-\x7e]*|\*|)$/);
  expectStrictFields(headers, /^[!#$%&'*+.^_`|~0-9a-z-]+$/);
  for (const name of [
    "connection",
    "transfer-encoding",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "host",
  ]) {
    expect(headers.filter((_, i) => i % 2 === 0)).not.toContain(name);
  }
}

function expectStrictFields(headers: readonly string[], names: RegExp): void {
  for (let i = 0; i < headers.length; i += 2) {
    expect(headers[i]).toMatch(names);
    expect(headers[i + 1]).toMatch(
      /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/,
    );
  }
}

function expectInvariant(codec: Codec, bytes: Buffer, more: readonly number[] = []): void {
  const [whole, ...others] = [...deliveries(bytes).values(), more].map((cuts) => outcome(codec, bytes, cuts));
  for (const other of others) expect(other).toEqual(whole);
}

describe.each(CODECS)("the corpus of %s", (codec) => {
  const own = corpus.filter((entry) => entry.codec === codec);
  test.each(own.map(({ why, bytes }) => [why, bytes] as const))("%s", (_why, text) => {
    expectInvariant(codec, Buffer.from(text, "latin1"));
  });

  const seeds = [...own.map(({ bytes }) => Buffer.from(bytes, "latin1")), ...hostile(codec)].filter(
    ({ length }) => length <= MAX_BYTES,
  );

  test(
    "mutated, is told the same however it is split",
    () => {
      fc.assert(
        fc.property(mutated(seeds), fc.array(fc.nat(), { maxLength: 8 }), (bytes, cutSeeds) => {
          const cuts = [...new Set(cutSeeds.map((seed) => seed % Math.max(1, bytes.length)))];
          try {
            expectInvariant(
              codec,
              bytes,
              cuts.filter((cut) => cut > 0).sort((a, b) => a - b),
            );
          } catch (thrown) {
            keep(codec, bytes);
            throw thrown;
          }
        }),
        {
          ...(SEED === undefined ? {} : { seed: Number(SEED) }),
          ...(SECONDS > 0
            ? {
                numRuns: Number.MAX_SAFE_INTEGER,
                interruptAfterTimeLimit: SECONDS * 1000,
                markInterruptAsFailure: false,
              }
            : { numRuns: 250 }),
        },
      );
    },
    20_000 + SECONDS * 2000,
  );
});

/** The tables of hostile input for a codec. */
function hostile(codec: Codec): readonly Buffer[] {
  if (codec === "request") {
    return Object.values(REFUSED).flatMap((cases) => cases.map(([bytes]) => Buffer.from(bytes, "latin1")));
  }
  if (codec !== "http2-server") return [];
  return [
    ...REFUSED_CONNECTIONS.map(([, bytes]) => bytes),
    ...REFUSED_STREAMS.map(([, bytes]) => clientStart(bytes)),
  ];
}

/** Some of the seeds, changed here and there: bytes set, taken away, put in, repeated; the end of another behind. */
function mutated(seeds: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const seed = fc.constantFrom(...seeds);
  const change = fc.tuple(
    fc.nat(4),
    fc.nat(),
    fc.nat(40),
    fc.uint8Array({ minLength: 1, maxLength: 6 }),
    seed,
  );
  return fc.tuple(seed, fc.array(change, { maxLength: 5 })).map(([start, changes]) => {
    let bytes = start;
    for (const [kind, where, length, inserted, other] of changes) {
      const at = where % (bytes.length + 1);
      const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
      const parts = [
        [before, inserted, after.subarray(inserted.length)],
        [before, after.subarray(length)],
        [before, inserted, after],
        [before, after.subarray(0, length), after],
        [before, other.subarray(at % (other.length + 1))],
      ][kind]!;
      bytes = Buffer.concat(parts).subarray(0, 2 * MAX_BYTES);
    }
    return bytes;
  });
}

/** While it shrinks, each counterexample is smaller than the one before: the last line is the smallest. */
function keep(codec: Codec, bytes: Buffer): void {
  const entry: Entry = {
    codec,
    bytes: bytes.toString("latin1"),
    why: "found by fuzzing; say what was wrong",
  };
  appendFileSync(FILE, `${JSON.stringify(entry)}\n`);
}
