import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader, frame } from "./frames.js";

test("FrameReader gives the same messages however the stream is split", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      messages,
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
      fc.boolean(),
      (sent, sizes, eager) => {
        const stream = Buffer.concat(sent.map((message) => frame(Buffer.from(message))));
        const received: Buffer[] = [];
        const reader = new FrameReader((message) => {
          received.push(Buffer.from(message));
          return eager;
        });
        for (let offset = 0, i = 0; offset < stream.length; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          reader.push(stream.subarray(offset, offset + size));
          offset += size;
        }
        while (!reader.resume());
        expect(received.map((bytes) => [...bytes])).toEqual(sent.map((bytes) => [...bytes]));
      },
    ),
  );
});
