import fc from "fast-check";
import { expect, test } from "vitest";
import { base64OfText, base64Size, isBase64 } from "./base64.js";

test("base64OfText gives what the host's encoder gives, for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const encoded = base64OfText(text);
      expect(encoded).toBe(Buffer.from(text, "utf8").toString("base64"));
      expect(isBase64(encoded)).toBe(true);
      expect(base64Size(encoded)).toBe(Buffer.byteLength(text, "utf8"));
    }),
  );
});

test("isBase64 refuses other alphabets, missing padding and line breaks", () => {
  expect(["a", "ab", "abc", "ab-_", "ab=c", "====", "abcd\n"].filter((text) => isBase64(text))).toEqual([]);
});
