import fc from "fast-check";
import { expect, test } from "vitest";

import { DerError, DerReader, encodeDer, encodeObjectIdentifier, Tag } from "./der.js";

test("encodeDer writes lengths in their shortest form", () => {
  const header = (length: number): string =>
    encodeDer(Tag.octetString, Buffer.alloc(length))
      .subarray(0, -length || undefined)
      .toString("hex");
  expect(encodeDer(Tag.sequence).toString("hex")).toBe("3000");
  expect(header(127)).toBe("047f");
  expect(header(128)).toBe("048180");
  expect(header(256)).toBe("04820100");
  expect(header(65_536)).toBe("0483010000");
});

test("encodeObjectIdentifier writes arcs in groups of seven bits", () => {
  expect(encodeObjectIdentifier("2.5.29.17").toString("hex")).toBe("0603551d11");
  expect(encodeObjectIdentifier("1.2.840.113549.1.9.14").toString("hex")).toBe("06092a864886f70d01090e");
});

test("DerReader reads what encodeDer writes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), fc.uint8Array({ maxLength: 10 }), (first, second) => {
      const reader = new DerReader(
        encodeDer(Tag.sequence, encodeDer(Tag.octetString, first), encodeDer(Tag.integer, second)),
      ).enter(Tag.sequence);
      const octets = reader.read(Tag.octetString);
      const integer = reader.read(Tag.integer);
      reader.finish();
      expect(Buffer.compare(reader.bytes.subarray(octets.start, octets.end), first)).toBe(0);
      expect(Buffer.compare(reader.bytes.subarray(integer.start, integer.end), second)).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test.each([
  ["an indefinite length", "30800000"],
  ["a length longer than needed", "3081020500"],
  ["a length with leading zeros", `30820081${"00".repeat(0x81)}`],
  ["a four-byte length", "308400000001ff"],
  ["a multi-byte tag", "1f8101"],
  ["content beyond the end", "3003ff"],
  ["half a header", "30"],
  ["nothing", ""],
])("DerReader refuses %s", (_what, hex) => {
  expect(() => new DerReader(Buffer.from(hex, "hex")).read()).toThrow(DerError);
});

test("DerReader keeps a nested value within its parent", () => {
  const reader = new DerReader(Buffer.from("300404050000" + "00".repeat(5), "hex")).enter(Tag.sequence);
  expect(() => reader.read()).toThrow(DerError);
  expect(() => new DerReader(Buffer.from("050005", "hex")).finish()).toThrow(DerError);
});
