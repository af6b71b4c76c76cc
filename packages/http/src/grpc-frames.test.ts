import * as fc from "fast-check";
import { expect, test } from "vitest";
import { GrpcFrameReader, GrpcMessageCounter, encodeGrpcMessage } from "./grpc-frames.js";

test("GrpcFrameReader reads back what encodeGrpcMessage wrote, and GrpcMessageCounter counts it, however it is split", () => {
  const counter = new GrpcMessageCounter();
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 10 }),
      (messages, seeds) => {
        const bytes = Buffer.concat(messages.map(encodeGrpcMessage));
        const cuts = [...new Set(seeds.map((seed) => seed % (bytes.length + 1)))].sort((a, b) => a - b);
        const reader = new GrpcFrameReader();
        const read: Buffer[] = [];
        counter.reset();
        let start = 0;
        for (const end of [...cuts, bytes.length]) {
          const segment = Buffer.from(bytes.subarray(start, end));
          reader.execute(segment, 0, segment.length, (message) => read.push(message));
          counter.count(segment, 0, segment.length);
          segment.fill(0xee);
          start = end;
        }
        expect(read).toEqual(messages.map((message) => Buffer.from(message)));
        expect(reader.complete).toBe(true);
        expect(reader.error).toBeUndefined();
        expect(counter.messages).toBe(messages.length);
      },
    ),
    { numRuns: 300 },
  );
});

test.each([
  ["0100000001", "GRPC_COMPRESSED", 13],
  ["0200000001", "GRPC_BAD_PREFIX", 13],
  ["0000000065", "GRPC_MESSAGE_TOO_LARGE", 8],
])("GrpcFrameReader refuses the prefix %s before it takes memory for it", (hex, code, status) => {
  const reader = new GrpcFrameReader(100);
  const bytes = Buffer.from(`${hex}ff`, "hex");
  const read: Buffer[] = [];
  reader.execute(bytes, 0, bytes.length, (message) => read.push(message));
  reader.execute(bytes, 0, bytes.length, (message) => read.push(message));
  expect(reader.error).toMatchObject({ code, status });
  expect(read).toEqual([]);
});

test("GrpcMessageCounter takes whatever bytes come, in steps no more than they are", () => {
  const counter = new GrpcMessageCounter();
  const bytes = Buffer.from("ffffffffff00010203", "hex");
  counter.count(bytes, 0, bytes.length);
  expect(counter.messages).toBe(1);
  counter.reset();
  counter.count(Buffer.alloc(23), 0, 23);
  expect(counter.messages).toBe(4);
});

test("GrpcFrameReader tells that a body ended in mid-message", () => {
  const reader = new GrpcFrameReader();
  const bytes = encodeGrpcMessage(Buffer.from("abc"));
  reader.execute(bytes, 0, 3, () => {});
  expect(reader.complete).toBe(false);
  reader.execute(bytes, 3, 7, () => {});
  expect(reader.complete).toBe(false);
  reader.execute(bytes, 7, 8, () => {});
  expect(reader.complete).toBe(true);
});
