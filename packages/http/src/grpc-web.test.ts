import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  Base64Decoder,
  encodeGrpcWebTrailers,
  grpcWebContentType,
  readGrpcWebContentType,
} from "./grpc-web.js";

test.each([
  ["application/grpc-web", { text: false, format: "" }],
  ["application/grpc-web+proto", { text: false, format: "+proto" }],
  ["application/grpc-web-text", { text: true, format: "" }],
  ["application/grpc-web-text+proto", { text: true, format: "+proto" }],
  ["Application/gRPC-Web+proto; charset=utf-8", { text: false, format: "+proto" }],
  ["application/grpc", undefined],
  ["application/grpc+proto", undefined],
  ["application/grpc-webs", undefined],
  ["application/grpc-web-texts", undefined],
  ["application/grpc-web+a\r\nb", undefined],
  ["text/plain", undefined],
  ["", undefined],
])("reads the content type %j", (value, content) => {
  expect(readGrpcWebContentType(value)).toEqual(content);
});

test("an answer's content type names the same format", () => {
  expect(grpcWebContentType({ text: true, format: "+proto" })).toBe("application/grpc-web-text+proto");
  expect(grpcWebContentType({ text: false, format: "" })).toBe("application/grpc-web");
});

test("trailers are the last frame", () => {
  const frame = encodeGrpcWebTrailers(["Grpc-Status", "5", "grpc-message", "no%20such"]);
  expect(frame[0]).toBe(0x80);
  expect(frame.readUInt32BE(1)).toBe(frame.length - 5);
  expect(frame.toString("latin1", 5)).toBe("grpc-status: 5\r\ngrpc-message: no%20such\r\n");
});

function decodeInPieces(text: string, sizes: readonly number[]): Buffer | undefined {
  const decoder = new Base64Decoder();
  const bytes = Buffer.from(text, "latin1");
  const out: Buffer[] = [];
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const end = Math.min(bytes.length, at + (sizes[turn % sizes.length] ?? 1));
    out.push(decoder.decode(bytes, at, end));
    at = end;
  }
  return decoder.complete ? Buffer.concat(out) : undefined;
}

const pieces = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

describe("base64", () => {
  test("parts that are padded each are read as one, however they are split", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), pieces, (parts, sizes) => {
        const text = parts.map((part) => Buffer.from(part).toString("base64")).join("");
        expect(decodeInPieces(text, sizes)).toEqual(Buffer.concat(parts));
      }),
    );
  });

  test("what is read is what Node.js reads, and everything else is refused", () => {
    const characters = fc.constantFrom(...Array.from("AZaz09+/==- \n"));
    fc.assert(
      fc.property(fc.array(characters, { maxLength: 16 }), pieces, (typed, sizes) => {
        const text = typed.join("");
        const valid = /^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/.test(text);
        const read = decodeInPieces(text, sizes);
        expect(read !== undefined).toBe(valid);
        if (!valid) return;
        const groups = text.match(/.{4}/g) ?? [];
        expect(read).toEqual(Buffer.concat(groups.map((group) => Buffer.from(group, "base64"))));
      }),
    );
  });

  test("an unfinished group is no end", () => {
    expect(decodeInPieces("QUJ", [1])).toBeUndefined();
    expect(decodeInPieces("QUJD", [1])?.toString()).toBe("ABC");
  });
});
