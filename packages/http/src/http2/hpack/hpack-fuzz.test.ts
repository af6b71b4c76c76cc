import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { HeaderList } from "../../contract.js";
import { Decoded, HpackDecoder } from "./decoder.js";
import { HpackEncoder, blockBound } from "./encoder.js";
import { Kind } from "./field-kind.js";
import { decodeHuffman } from "./huffman-decoder.js";
import { huffmanLength, writeHuffman } from "./huffman-encoder.js";

const name = fc.oneof(
  fc.constantFrom(
    "accept",
    "X-Request-Id",
    "traceparent",
    "cookie",
    "authorization",
    "etag",
    "x-a",
    "x-b",
    "date",
  ),
  fc.stringMatching(/^[!#$%&'*+.^`|~0-9A-Za-z-]{1,30}$/).map((text) => `x-${text}`),
);
const value = fc.oneof(
  fc.constantFrom("", "a", "gzip, deflate", "0".repeat(3000), "x".repeat(200)),
  fc.stringMatching(/^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,60}[\x21-\x7e\x80-\xff])?$/),
);
const block = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());
const step = fc.oneof(
  { weight: 5, arbitrary: block },
  { weight: 1, arbitrary: fc.constantFrom(0, 40, 200, 4096, 9999) },
);

test("HpackDecoder reads back whatever HpackEncoder wrote, over many blocks and table sizes, and both tables stay equal", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const encoder = new HpackEncoder(4096);
      const decoder = new HpackDecoder(4096);
      for (const each of steps) {
        if (typeof each === "number") {
          encoder.setPeerTableSize(each);
          continue;
        }
        const bytes = Buffer.alloc(blockBound(each, 0));
        const end = encoder.writeTrailers(bytes, 0, each);
        const fields: HeaderList = [];
        const kinds: number[] = [];
        const outcome = decoder.decode(bytes, 0, end, {
          onField: (fieldName, fieldValue, kind) => {
            fields.push(fieldName, fieldValue);
            kinds.push(kind);
          },
          discarding: false,
          flooded: false,
        });
        expect(outcome).toBe(Decoded.OK);
        expect(fields).toEqual(each.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)));
        expect(kinds).not.toContain(Kind.BAD_VALUE);
        expect(decoder.tableBytes).toBe(encoder.tableBytes);
      }
    }),
    { numRuns: 300 },
  );
});

test("HpackEncoder writes nothing that its peer must refuse, whatever it is given", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" })), { maxLength: 8 }),
      (pairs) => {
        const headers = pairs.flat();
        const bytes = Buffer.alloc(blockBound(headers, 0));
        const end = new HpackEncoder(4096).writeTrailers(bytes, 0, headers);
        expect(end).toBeLessThanOrEqual(bytes.length);
        const bad = [Kind.BAD_NAME, Kind.BAD_VALUE, Kind.CONNECTION, Kind.UNKNOWN_PSEUDO] as number[];
        const outcome = new HpackDecoder(4096).decode(bytes, 0, end, {
          onField: (_name, _value, kind) => expect(bad).not.toContain(kind),
          discarding: false,
          flooded: false,
        });
        expect(outcome).toBe(Decoded.OK);
      },
    ),
    { numRuns: 500 },
  );
});

test("HpackDecoder never throws on arbitrary bytes and its table never exceeds its size", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder(4096);
      for (const bytes of blocks) {
        const outcome = decoder.decode(Buffer.from(bytes), 0, bytes.length, {
          onField: () => {},
          discarding: false,
          flooded: false,
        });
        expect(decoder.tableBytes).toBeLessThanOrEqual(4096);
        if (outcome !== Decoded.OK) return;
      }
    }),
    { numRuns: 2000 },
  );
});

test("decodeHuffman reads back what writeHuffman wrote, for every byte", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      const coded = Buffer.alloc(huffmanLength(text));
      expect(writeHuffman(coded, 0, text)).toBe(coded.length);
      const decoded = Buffer.alloc(Math.ceil(coded.length * 1.6));
      const end = decodeHuffman(coded, 0, coded.length, decoded, 0);
      expect(decoded.toString("latin1", 0, Math.max(0, end))).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["index 0", "80"],
  ["an index beyond the table", "be"],
  ["a name index beyond the table", "7f00 0161"],
  ["an integer of more than five bytes", "ff80808080800100"],
  ["an integer that is cut", "ff80"],
  ["a string that is cut", "0003 6161"],
  ["EOS in a string", "0085 ffffffff fc00"],
  ["padding of more than 7 bits", "0082 1fff 0161"],
  ["padding that is not all ones", "0081 1800"],
  ["a table size above the limit", "3fe21f"],
  ["a table size after a field", "8220"],
  ["three table sizes", "202020"],
])("HpackDecoder refuses %s", (_, hex) => {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const target = { onField: () => {}, discarding: false, flooded: false };
  expect(new HpackDecoder(4096).decode(bytes, 0, bytes.length, target)).toBe(Decoded.INVALID);
});

test("HpackDecoder asks for the announced size once SETTINGS are acknowledged", () => {
  const target = { onField: () => {}, discarding: false, flooded: false };
  const decode = (decoder: HpackDecoder, hex: string): number =>
    decoder.decode(Buffer.from(hex, "hex"), 0, hex.length / 2, target);
  const decoder = new HpackDecoder(0);
  expect(decode(decoder, "82")).toBe(Decoded.OK);
  decoder.onSettingsAcknowledged();
  expect(decode(decoder, "2082")).toBe(Decoded.OK);
  const stubborn = new HpackDecoder(0);
  stubborn.onSettingsAcknowledged();
  expect(decode(stubborn, "82")).toBe(Decoded.INVALID);
});
