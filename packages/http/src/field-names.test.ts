import { expect, test } from "vitest";
import { FieldKind, internName, internedKind, internedName, lowerName } from "./field-names.js";

function intern(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name)) hash = (Math.imul(hash, 31) + byte) | 0;
  const bytes = Buffer.from(`..${name}..`);
  return internName(bytes, 2, 2 + name.length, hash);
}

test("lowerName lowers every spelling to the same text", () => {
  expect(lowerName("X-Request-ID")).toBe("x-request-id");
  expect(lowerName("x-request-id")).toBe("x-request-id");
  expect(lowerName("A".repeat(500))).toBe("a".repeat(500));
});

test("lowerName stays right when more names than its table holds were seen", () => {
  for (let i = 0; i < 10_000; i++) expect(lowerName(`X-Name-${i}`)).toBe(`x-name-${i}`);
  expect(lowerName("X-Name-1")).toBe("x-name-1");
});

test("internName gives name and kind of what it was asked, also after its slots were used by others", () => {
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 5000; i++) {
      const name = `X-${i}`;
      const slot = intern(name);
      expect([internedName(slot), internedKind(slot)]).toEqual([name, FieldKind.OTHER]);
    }
    for (const [name, kind] of [
      ["Content-Length", FieldKind.CONTENT_LENGTH],
      ["CONTENT-LENGTH", FieldKind.CONTENT_LENGTH],
      ["transfer-encoding", FieldKind.TRANSFER_ENCODING],
      ["Transfer_Encoding", FieldKind.LOOKALIKE],
      ["hOsT", FieldKind.HOST],
    ] as const) {
      const slot = intern(name);
      expect([internedName(slot), internedKind(slot)]).toEqual([name, kind]);
    }
  }
  expect(intern("x".repeat(65))).toBe(-1);
});
