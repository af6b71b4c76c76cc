import fc from "fast-check";
import { expect, test } from "vitest";

import type { EndpointPart } from "@tulle/engine";

import { crc32c } from "./crc32c.js";
import { V2_SIGNATURE, type ProxyAddresses } from "./header.js";
import { preambleOf } from "./preamble.js";
import { ProxyHeaderReader, type Beginning } from "./reader.js";
import { parseHostPort, proxyHeader } from "./write.js";

const ADDRESSES: ProxyAddresses = {
  source: { host: "192.0.2.1", port: 40_000 },
  destination: { host: "198.51.100.7", port: 443 },
};

/** What the reader says of bytes in pieces of a size. */
function read(bytes: Buffer, piece = bytes.length): Beginning | "more" | "refused" {
  const reader = new ProxyHeaderReader();
  try {
    for (let at = 0; at < bytes.length; at += piece) {
      const beginning = reader.push(bytes.subarray(at, at + piece));
      if (beginning !== undefined) {
        return { ...beginning, rest: Buffer.concat([beginning.rest, bytes.subarray(at + piece)]) };
      }
    }
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "PROXY_PROTOCOL_MALFORMED" });
    return "refused";
  }
  return "more";
}

const line = (text: string): Buffer => Buffer.from(text, "latin1");

/** A header of version 2, as written, with what the length says when it is to lie. */
function v2(command: number, family: number, body: Buffer, length = body.length): Buffer {
  const fixed = Buffer.from([command, family, length >> 8, length & 0xff]);
  return Buffer.concat([V2_SIGNATURE, fixed, body]);
}

const TCP4_BODY = Buffer.from([192, 0, 2, 1, 198, 51, 100, 7, 40_000 >> 8, 40_000 & 0xff, 1, 187]);

function tlv(type: number, value: Buffer, length = value.length): Buffer {
  return Buffer.concat([Buffer.from([type, length >> 8, length & 0xff]), value]);
}

test("the reader reads version 1", () => {
  const after = line("GET / HTTP/1.1\r\n");
  const bytes = Buffer.concat([line("PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n"), after]);
  expect(read(bytes)).toEqual({ header: { version: 1, addresses: ADDRESSES }, rest: after });
  const v6 = read(line("PROXY TCP6 2001:DB8:0::1 ::1 1 65535\r\n"));
  expect(v6).toMatchObject({
    header: {
      addresses: { source: { host: "2001:db8::1", port: 1 }, destination: { host: "::1", port: 65_535 } },
    },
  });
  const mapped = read(line("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6407 40000 443\r\n"));
  expect(mapped).toMatchObject({ header: { addresses: ADDRESSES } });
});

test.each(["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535 and more\r\n"])(
  "the reader takes %j for a connection of which nothing is known",
  (text) => {
    expect(read(line(text))).toEqual({ header: { version: 1, addresses: undefined }, rest: Buffer.alloc(0) });
  },
);

test.each([
  "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\n",
  "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443 \r\n",
  "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443 1\r\n",
  "PROXY  TCP4 192.0.2.1 198.51.100.7 40000 443\r\n",
  "PROXY TCP4 192.0.2.1  198.51.100.7 40000 443\r\n",
  "PROXY tcp4 192.0.2.1 198.51.100.7 40000 443\r\n",
  "PROXY UDP4 192.0.2.1 198.51.100.7 40000 443\r\n",
  "PROXY TCP4 192.0.2.01 198.51.100.7 40000 443\r\n",
  "PROXY TCP4 192.0.2.256 198.51.100.7 40000 443\r\n",
  "PROXY TCP4 ::1 ::1 40000 443\r\n",
  "PROXY TCP6 192.0.2.1 198.51.100.7 40000 443\r\n",
  "PROXY TCP6 fe80::1%eth0 fe80::2 40000 443\r\n",
  "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
  "PROXY TCP4 192.0.2.1 198.51.100.7 040 443\r\n",
  "PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n",
  "PROXY TCP4 192.0.2.1 198.51.100.7 40000\r\n",
  "PROXY TCP4 192.0.2.1\r\n",
  "PROXY \r\n",
  "PROXY TCP4 192.0.2.1\0 198.51.100.7 40000 443\r\n",
  "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\rX\n",
  `PROXY UNKNOWN ${"x".repeat(200)}\r\n`,
  `PROXY TCP4 ${"1".repeat(200)}`,
])("the reader refuses %j", (text) => {
  expect(read(line(text))).toBe("refused");
  expect(read(line(text), 1)).toBe("refused");
});

test("the reader takes a line of 107 bytes, and none of 108", () => {
  const padded = (length: number): Buffer => line(`PROXY UNKNOWN ${"x".repeat(length - 16)}\r\n`);
  expect(padded(107)).toHaveLength(107);
  expect(read(padded(107))).toMatchObject({ header: { version: 1 } });
  expect(read(padded(108))).toBe("refused");
});

test("the reader reads version 2, with whatever TLVs", () => {
  const after = line("\u0016\u0003\u0001");
  const tlvs = [tlv(0x04, Buffer.alloc(9)), tlv(0xe0, line("x")), tlv(0x05, Buffer.alloc(0))];
  const bytes = Buffer.concat([v2(0x21, 0x11, Buffer.concat([TCP4_BODY, ...tlvs])), after]);
  const content = [
    { type: 0xe0, value: Uint8Array.from(line("x")) },
    { type: 0x05, value: new Uint8Array() },
  ];
  expect(read(bytes)).toEqual({ header: { version: 2, addresses: ADDRESSES, tlvs: content }, rest: after });
});

test.each([
  ["LOCAL", v2(0x20, 0x00, Buffer.alloc(0))],
  // What a LOCAL header says besides is nobody's business, however wrong it is.
  ["LOCAL with addresses", v2(0x20, 0x11, TCP4_BODY)],
  ["LOCAL with nonsense", v2(0x20, 0xff, Buffer.from([1, 2, 3]))],
  ["no family", v2(0x21, 0x00, Buffer.from([1, 2, 3]))],
  ["no transport", v2(0x21, 0x10, TCP4_BODY)],
  ["Unix sockets", v2(0x21, 0x31, Buffer.alloc(216))],
])("AZ-12: the reader takes a version 2 header with %s for one without addresses", (_what, header) => {
  const after = line("GET /");
  expect(read(Buffer.concat([header, after]))).toEqual({
    header: { version: 2, addresses: undefined },
    rest: after,
  });
});

test.each([
  ["version 1 in binary", v2(0x11, 0x11, TCP4_BODY)],
  ["version 3", v2(0x31, 0x11, TCP4_BODY)],
  ["an unknown command", v2(0x22, 0x11, TCP4_BODY)],
  ["an unknown family", v2(0x21, 0x41, TCP4_BODY)],
  ["an unknown transport", v2(0x21, 0x13, TCP4_BODY)],
  ["datagrams", v2(0x21, 0x12, TCP4_BODY)],
  ["too few bytes for IPv4", v2(0x21, 0x11, TCP4_BODY.subarray(1))],
  ["too few bytes for IPv6", v2(0x21, 0x21, TCP4_BODY)],
  ["too few bytes for Unix sockets", v2(0x21, 0x31, Buffer.alloc(215))],
  ["a cut TLV", v2(0x21, 0x11, Buffer.concat([TCP4_BODY, Buffer.from([4, 0])]))],
  // CVE-2026-47692: what lies behind the header must not be swallowed, nor a piece of the header be left over.
  ["a TLV that is longer than the header", v2(0x21, 0x11, Buffer.concat([TCP4_BODY, tlv(4, line("x"), 2)]))],
  ["a TLV of 65,535 bytes", v2(0x21, 0x11, Buffer.concat([TCP4_BODY, tlv(4, line("x"), 65_535)]))],
  ["a checksum of 3 bytes", v2(0x21, 0x11, Buffer.concat([TCP4_BODY, tlv(3, Buffer.alloc(3))]))],
  ["a wrong checksum", v2(0x21, 0x11, Buffer.concat([TCP4_BODY, tlv(3, Buffer.alloc(4))]))],
  ["more than 8 KiB", v2(0x21, 0x11, TCP4_BODY, 65_535)],
  ["LOCAL of more than 8 KiB", v2(0x20, 0x00, Buffer.alloc(0), 65_535)],
])("AZ-12: the reader refuses a version 2 header with %s", (_what, header) => {
  const after = line("GET /admin HTTP/1.1\r\n");
  const bytes = Buffer.concat([header, after]);
  expect(read(bytes)).toBe("refused");
  expect(read(bytes, 1)).toBe("refused");
});

test("the reader checks a checksum that is there, and takes no second one", () => {
  const blank = v2(0x21, 0x11, Buffer.concat([TCP4_BODY, tlv(3, Buffer.alloc(4)), tlv(4, line("x"))]));
  const signed = Buffer.from(blank);
  signed.writeUInt32BE(crc32c(blank), 16 + 12 + 3);
  expect(read(signed)).toMatchObject({ header: { addresses: ADDRESSES } });
  signed[16] = 193;
  expect(read(signed)).toBe("refused");
  const twice = v2(0x21, 0x11, Buffer.concat([TCP4_BODY, tlv(3, Buffer.alloc(4)), tlv(3, Buffer.alloc(4))]));
  expect(read(twice)).toBe("refused");
  // RFC 3720, appendix B.4 has the same check value in another byte order.
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
});

test.each([
  "GET / HTTP/1.1\r\n",
  "PROXX",
  "\r\n\r\nGET",
  "\u0016\u0003\u0001",
  "PROXYTCP4",
  "\r\n\r\n\u0001",
])("the reader leaves %j as it is", (text) => {
  expect(read(line(text))).toEqual({ header: undefined, rest: line(text) });
  expect(read(line(text), 1)).toEqual({ header: undefined, rest: line(text) });
});

test.each(["P", "PROXY", "PROXY TCP4 192.0.2.1", "\r\n\r\n", V2_SIGNATURE.toString("latin1")])(
  "the reader waits for more after %j",
  (text) => {
    expect(read(line(text))).toBe("more");
  },
);

const address = fc.record({
  host: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 0, max: 65_535 }),
});

test("what is written is read again, whatever follows, in pieces of any size", () => {
  fc.assert(
    fc.property(
      fc.record({ source: address, destination: address }),
      fc.constantFrom(1 as const, 2 as const),
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: 1, max: 60 }),
      ({ source, destination }, version, after, piece) => {
        const plain = (at: typeof source) =>
          parseHostPort(at.host.includes(":") ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`);
        const addresses = { source: plain(source), destination: plain(destination) } as ProxyAddresses;
        const bytes = Buffer.concat([proxyHeader(version, addresses), after]);
        expect(read(bytes, piece)).toEqual({ header: { version, addresses }, rest: Buffer.from(after) });
      },
    ),
  );
});

const tlvList = fc.array(
  fc.record({
    // Neither checksum nor padding, which are no content.
    type: fc.integer({ min: 0, max: 255 }).filter((type) => type !== 3 && type !== 4),
    value: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 20 },
);

test("TLVs that are written are read again, in their order", () => {
  fc.assert(
    fc.property(
      tlvList,
      fc.uint8Array({ maxLength: 20 }),
      fc.integer({ min: 1, max: 60 }),
      (tlvs, after, piece) => {
        const bytes = Buffer.concat([proxyHeader(2, ADDRESSES, tlvs), after]);
        const header = { version: 2, addresses: ADDRESSES, ...(tlvs.length > 0 && { tlvs }) };
        expect(read(bytes, piece)).toEqual({ header, rest: Buffer.from(after) });
      },
    ),
  );
});

test("TLVs beyond what a header can hold are left out, and of the proxy's own connections", () => {
  const large = { type: 0xe0, value: new Uint8Array(40_000) };
  expect(proxyHeader(2, ADDRESSES, [large, large])).toHaveLength(16 + 12 + 3 + 40_000);
  expect(proxyHeader(2, undefined, [large])).toHaveLength(16);
  expect(proxyHeader(1, ADDRESSES, [large])).toEqual(proxyHeader(1, ADDRESSES));
});

const MIXED = [1, 2, 3].map((n) => ({ type: 0xe0 + n, value: Uint8Array.of(n) }));

test.each([
  ["none without being told", undefined, []],
  ["all of the client's", { passed: "all" as const, added: [] }, MIXED],
  ["some of the client's", { passed: new Set([0xe2]), added: [] }, MIXED.slice(1, 2)],
  [
    "its own alone",
    { passed: undefined, added: [{ type: 0xe1, value: Uint8Array.of(9) }] },
    [{ type: 0xe1, value: Uint8Array.of(9) }],
  ],
  [
    "its own instead of the client's",
    { passed: "all" as const, added: [{ type: 0xe1, value: Uint8Array.of(9) }] },
    [{ type: 0xe1, value: Uint8Array.of(9) }, ...MIXED.slice(1)],
  ],
])("an endpoint is told %s", (_what, tlvs, told) => {
  const endpoint = { proxyProtocol: 2, proxyTlvs: tlvs && { key: "k", ...tlvs } } as EndpointPart;
  const ends = { remoteAddress: "192.0.2.1:1000", localAddress: "192.0.2.2:80", proxyTlvs: MIXED };
  const preamble = preambleOf(endpoint, ends) ?? Buffer.alloc(0);
  expect((read(preamble) as Beginning).header?.tlvs ?? []).toEqual(told);
});

test("a connection of the proxy's own is written as such", () => {
  expect(proxyHeader(1, undefined).toString()).toBe("PROXY UNKNOWN\r\n");
  expect(read(proxyHeader(2, undefined))).toMatchObject({ header: { version: 2, addresses: undefined } });
  expect(parseHostPort("localhost:80")).toBeUndefined();
  expect(parseHostPort("")).toBeUndefined();
});

test("bytes mean the same in pieces of any size, and never more than an error", () => {
  const anything = fc.uint8Array({ maxLength: 300 });
  const hostile = fc.oneof(
    anything.map((bytes) => Buffer.from(bytes)),
    anything.map((bytes) => Buffer.concat([line("PROXY "), bytes])),
    fc
      .string({ unit: fc.constantFrom(..."TCP46 .:0123456789abf\r\nUNKW".split("")), maxLength: 120 })
      .map((text) => line(`PROXY TCP${text}\r\n`)),
    fc
      .tuple(
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 0, max: 255 }),
        anything,
        fc.integer({ min: 0, max: 400 }),
      )
      .map(([command, family, body, length]) => v2(command, family, Buffer.from(body), length)),
    fc
      .tuple(fc.constantFrom(0x11, 0x21, 0x31), anything)
      .map(([family, body]) => v2(0x21, family, Buffer.from(body))),
  );
  fc.assert(
    fc.property(hostile, fc.integer({ min: 1, max: 40 }), (bytes, piece) => {
      expect(read(bytes, piece)).toEqual(read(bytes));
    }),
    { numRuns: 1000 },
  );
});
