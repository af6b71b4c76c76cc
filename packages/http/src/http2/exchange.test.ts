import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { HeaderList } from "../contract.js";
import * as frames from "../testing/http2-frames.js";
import { Peer, settle } from "../testing/http2-peer.js";
import type { Http2Options } from "./contract.js";

const fieldValue = fc.stringMatching(
  /^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,40}[\x21-\x7e\x80-\xff])?$/,
);
const fields = fc
  .array(fc.tuple(fc.stringMatching(/^X-[a-z]{1,6}$/), fieldValue), { maxLength: 6 })
  .map((pairs) => pairs.flat());
const message = fc.record({
  fields,
  body: fc.oneof(fc.constant(0), fc.nat(200), fc.nat(100_000)),
  trailers: fc.option(fields, { nil: undefined }),
  pieces: fc.integer({ min: 1, max: 5 }),
});
type Message = typeof message extends fc.Arbitrary<infer T> ? T : never;
const exchanges = fc.array(
  fc.record({
    path: fc.stringMatching(/^\/[a-z?=&/]{1,20}$/).filter((p) => !p.startsWith("//")),
    request: message,
    response: message,
  }),
  {
    minLength: 1,
    maxLength: 12,
  },
);
const options: fc.Arbitrary<Http2Options> = fc.record({
  headerTableBytes: fc.constantFrom(0, 100, 4096, 16_384),
  encoderTableBytes: fc.constantFrom(0, 4096, 65_536),
  streamWindowBytes: fc.constantFrom(65_535, 200_000),
  connectionWindowBytes: fc.constantFrom(65_535, 1_048_576),
  maxFrameBytes: fc.constantFrom(16_384, 100_000),
  maxOutputBytes: fc.constantFrom(1024, 65_536),
});

const bodyOf = (size: number, seed: number): Buffer => Buffer.alloc(size, `${seed}-body`, "latin1");
const lower = (list: HeaderList): HeaderList =>
  list.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));

/** Sends bodies by what the windows allow, then the trailers. */
class Sender {
  readonly #peer: Peer;
  readonly #bodies = new Map<number, { body: Buffer; at: number; trailers: HeaderList | undefined }>();

  constructor(peer: Peer) {
    this.#peer = peer;
    peer.onWritable = (id) => this.offer(id);
  }

  start(id: number, { body, trailers, pieces }: Message, seed: number): void {
    const bytes = bodyOf(body, seed);
    this.#bodies.set(id, { body: bytes, at: 0, trailers });
    // In several offers, as a proxy gets it.
    for (let i = 1; i < pieces; i++) this.offer(id, Math.floor((bytes.length * i) / pieces));
    this.offer(id);
  }

  offer(id: number, until = Number.POSITIVE_INFINITY): void {
    const state = this.#bodies.get(id);
    if (state === undefined) return;
    const { session } = this.#peer;
    const end = Math.min(until, state.body.length);
    const isLast = end === state.body.length;
    if (end < state.at) return;
    if (end > state.at) {
      state.at += session.submitData(id, state.body, state.at, end, isLast && state.trailers === undefined);
      if (state.at < end || !isLast) return;
      this.#bodies.delete(id);
      if (state.trailers !== undefined) session.submitTrailers(id, state.trailers);
    } else if (isLast) {
      this.#bodies.delete(id);
      session.submitTrailers(id, state.trailers ?? []);
    }
  }
}

/** What one side must have heard of a stream. */
function heard(peer: Peer, id: number): unknown {
  const own = peer.events.filter((event) => "id" in event && event.id === id);
  return {
    headers: own.flatMap((event) => (event.type === "headers" ? [event.head.headers] : [])),
    body: own.flatMap((event) => (event.type === "data" ? [event.text] : [])).join(""),
    trailers: own.flatMap((event) => (event.type === "trailers" ? [event.trailers] : [])),
    ends: own.filter((event) => event.type === "end").length,
    order: own.map((event) => event.type).filter((type, i, all) => type !== all[i - 1]),
  };
}

function expected({ fields, body, trailers }: Message, seed: number): unknown {
  const hasTrailers = trailers !== undefined && trailers.length > 0;
  return {
    headers: [lower(fields)],
    body: bodyOf(body, seed).toString("latin1"),
    trailers: hasTrailers ? [lower(trailers)] : [],
    ends: 1,
    order: ["headers", ...(body > 0 ? ["data"] : []), ...(hasTrailers ? ["trailers"] : []), "end"],
  };
}

test("two sessions carry any exchanges both ways, whatever the windows, tables and frame sizes are", () => {
  fc.assert(
    fc.property(exchanges, options, options, (list, clientOptions, serverOptions) => {
      const client = new Peer("client", clientOptions);
      const server = new Peer("server", serverOptions);
      const requests = new Sender(client);
      const responses = new Sender(server);
      server.after = (event) => {
        if (event.type !== "headers") return;
        const seed = (event.id - 1) / 2;
        server.session.submitHeaders(event.id, 103, ["link", "x"], false);
        server.session.submitHeaders(event.id, 200, list[seed]!.response.fields, false);
        responses.start(event.id, list[seed]!.response, seed + 1000);
      };
      list.forEach(({ path, request }, seed) => {
        const head = {
          method: "POST",
          scheme: "http",
          authority: "a:80",
          path,
          protocol: "",
          headers: request.fields,
        };
        const id = client.session.submitRequest(head, false);
        expect(id).toBe(2 * seed + 1);
        requests.start(id, request, seed);
      });
      settle(client, server);
      expect([client.session.error, server.session.error]).toEqual([undefined, undefined]);
      expect(client.of("refused").concat(server.of("refused"))).toEqual([]);
      list.forEach(({ path, request, response }, seed) => {
        const id = 2 * seed + 1;
        expect(heard(server, id)).toEqual(expected(request, seed));
        expect(server.of("headers").find((event) => event.id === id)!.head).toMatchObject({
          path,
          authority: "a:80",
        });
        const answer = expected(response, seed + 1000) as { headers: HeaderList[] };
        answer.headers.unshift(["link", "x"]);
        expect(heard(client, id)).toEqual(answer);
      });
      expect([client.session.openStreams, server.session.openStreams]).toEqual([0, 0]);
      expect([client.session.stalledStreams, server.session.stalledStreams]).toEqual([0, 0]);
      expect([client.session.pendingOutputBytes, server.session.pendingOutputBytes]).toEqual([0, 0]);
    }),
    { numRuns: 60 },
  );
});

const streamId = fc.constantFrom(0, 1, 1, 1, 3, 3, 5, 7, 2);
const anyFrame = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(streamId, fc.constantFrom(0, 1, 4, 5))
      .map(([id, flags]) => frames.headers(id, frames.post(), flags)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(streamId, fc.constantFrom(4, 5))
      .map(([id, flags]) => frames.headers(id, frames.literals("a", "b"), flags)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(streamId, fc.constantFrom(0, 1, 8, 9), fc.uint8Array({ maxLength: 40 }))
      .map(([id, flags, payload]) => frames.data(id, payload, flags)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(streamId, fc.constantFrom(0, 4))
      .map(([id, flags]) => frames.continuation(id, frames.literals("c", "d"), flags)),
  },
  { weight: 1, arbitrary: streamId.map((id) => frames.rst(id)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(streamId, fc.constantFrom(0, 1, 70_000, 0x7fffffff))
      .map(([id, n]) => frames.windowUpdate(id, n)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 1, 16_384, 0xffffffff))
      .map(([key, value]) => frames.settings(key, value)),
  },
  { weight: 1, arbitrary: fc.tuple(streamId, streamId).map(([id, on]) => frames.priority(id, on)) },
  { weight: 1, arbitrary: fc.constantFrom(frames.ping(), frames.goaway(1), frames.settingsAck()) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(12), fc.nat(255), streamId, fc.uint8Array({ maxLength: 40 }))
      .map(([type, flags, id, payload]) => frames.frame(type, flags, id, payload)),
  },
);
const stream = fc.array(anyFrame, { maxLength: 25 }).map((list) => Buffer.concat(list));

test.each(["server", "client"] as const)(
  "a %s session never throws on random frames, and tells and writes the same however they are split",
  (role) => {
    fc.assert(
      fc.property(
        stream,
        fc.array(fc.nat(), { maxLength: 30 }),
        fc.uint8Array({ maxLength: 20 }),
        (body, seeds, tail) => {
          const bytes =
            role === "server"
              ? frames.clientStart(body, Buffer.from(tail))
              : Buffer.concat([frames.settings(), body, Buffer.from(tail)]);
          const cuts = [...new Set(seeds.map((seed) => seed % bytes.length))]
            .filter((cut) => cut > 0)
            .sort((a, b) => a - b);
          const everyByte = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
          const outcomes = [[], cuts, everyByte].map((split) => {
            const peer = new Peer(role);
            if (role === "client") {
              for (const method of ["GET", "HEAD"]) {
                peer.session.submitRequest(
                  { method, scheme: "http", authority: "a", path: "/", protocol: "", headers: [] },
                  method === "HEAD",
                );
              }
            }
            peer.feed(bytes, split);
            return {
              events: peer.events,
              output: peer.output().toString("hex"),
              error: peer.session.error?.code,
            };
          });
          expect(outcomes[1]).toEqual(outcomes[0]);
          expect(outcomes[2]).toEqual(outcomes[0]);
        },
      ),
      { numRuns: 700 },
    );
  },
);

test("a session looks at each byte of a head a bounded number of times when it comes a byte a segment", () => {
  const block = frames.get(...Array.from({ length: 60 }, (_, i) => [`x-${i}`, "v".repeat(700)]).flat());
  const parts = [frames.headers(1, block.subarray(0, 9000), 1)];
  for (let at = 9000; at < block.length; at += 9000) {
    parts.push(frames.continuation(1, block.subarray(at, at + 9000), at + 9000 >= block.length ? 4 : 0));
  }
  const bytes = frames.clientStart(...parts);
  let reads = 0;
  const counted = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) reads++;
      if (key === "copy") {
        return (to: Buffer, at: number, start: number, end: number): number => {
          reads += end - start;
          return target.copy(to, at, start, end);
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const peer = new Peer("server");
  for (let i = 0; i < bytes.length; i++) peer.session.execute(counted, i, i + 1, 1);
  expect(peer.heads).toHaveLength(1);
  expect(reads).toBeLessThan(3 * bytes.length);
});
