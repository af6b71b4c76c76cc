import { MeshError } from "@tulle/base";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, test } from "vitest";

import { readCoreProtobuf } from "./core-protobuf.js";

const MAGIC = [0x6b, 0x38, 0x73, 0x00];

test("readCoreProtobuf reads a Secret as kubectl sends it", () => {
  const writer = new BinaryWriter();
  const bytes = (field: number, value: Uint8Array): BinaryWriter =>
    writer.tag(field, WireType.LengthDelimited).bytes(value);
  const inner = (write: (to: BinaryWriter) => void): Uint8Array => {
    const to = new BinaryWriter();
    write(to);
    return to.finish();
  };
  const text = (to: BinaryWriter, field: number, value: string): BinaryWriter =>
    to.tag(field, WireType.LengthDelimited).string(value);
  const metadata = inner((to) => text(text(to, 1, "s"), 3, ""));
  const data = inner((to) =>
    text(to, 1, "k")
      .tag(2, WireType.LengthDelimited)
      .bytes(new Uint8Array([118])),
  );
  const raw = inner((to) => {
    to.tag(1, WireType.LengthDelimited).bytes(metadata);
    to.tag(2, WireType.LengthDelimited).bytes(data);
    text(to, 3, "Opaque").tag(5, WireType.Varint).bool(true);
  });
  bytes(
    1,
    inner((to) => text(text(to, 1, "v1"), 2, "Secret")),
  );
  bytes(2, raw);
  expect(readCoreProtobuf(new Uint8Array([...MAGIC, ...writer.finish()]))).toEqual({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "s" },
    data: { k: "dg==" },
    type: "Opaque",
    immutable: true,
  });
});

test("readCoreProtobuf reads or refuses any bytes, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, withMagic) => {
      try {
        readCoreProtobuf(withMagic ? new Uint8Array([...MAGIC, ...bytes]) : bytes);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(MeshError);
      }
    }),
  );
});
