import { expect, test } from "vitest";
import { CODE_LENGTHS, CODES } from "./huffman-code.js";
import { Decoded, HpackDecoder } from "./decoder.js";
import { HpackEncoder, blockBound } from "./encoder.js";

/** Collects the fields of a block as a flat list. */
function decodeBlock(decoder: HpackDecoder, hex: string): string[] | number {
  const bytes = Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
  const fields: string[] = [];
  const target = {
    onField: (name: string, value: string) => void fields.push(name, value),
    discarding: false,
    flooded: false,
  };
  const outcome = decoder.decode(bytes, 0, bytes.length, target);
  return outcome === Decoded.OK ? fields : outcome;
}

const DATE = "Mon, 21 Oct 2013 20:13:21 GMT";
const REQUESTS = [
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
  [
    ":method",
    "GET",
    ":scheme",
    "http",
    ":path",
    "/",
    ":authority",
    "www.example.com",
    "cache-control",
    "no-cache",
  ],
  ":method GET :scheme https :path /index.html :authority www.example.com custom-key custom-value".split(" "),
];
const RESPONSES = [
  [":status", "302", "cache-control", "private", "date", DATE, "location", "https://www.example.com"],
  [":status", "307", "cache-control", "private", "date", DATE, "location", "https://www.example.com"],
  [":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT"].concat(
    ["location", "https://www.example.com", "content-encoding", "gzip"],
    ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ),
];

test.each([
  [
    "C.2.1",
    "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
    ["custom-key", "custom-header"],
    55,
  ],
  ["C.2.2", "040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"], 0],
  ["C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret"], 0],
  ["C.2.4", "82", [":method", "GET"], 0],
])("HpackDecoder decodes RFC 7541 %s", (_, hex, fields, tableBytes) => {
  const decoder = new HpackDecoder(4096);
  expect(decodeBlock(decoder, hex)).toEqual(fields);
  expect(decoder.tableBytes).toBe(tableBytes);
});

test.each([
  [
    "C.3 (requests)",
    REQUESTS,
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    [57, 110, 164],
  ],
  [
    "C.4 (requests, Huffman)",
    REQUESTS,
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
    [57, 110, 164],
  ],
  [
    "C.5 (responses, a table of 256 bytes)",
    RESPONSES,
    [
      "3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "4803 3330 37c1 c0bf",
      "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ],
    [222, 222, 215],
  ],
  [
    "C.6 (responses, Huffman, a table of 256 bytes)",
    RESPONSES,
    [
      "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ],
    [222, 222, 215],
  ],
])("HpackDecoder decodes RFC 7541 %s block by block and keeps its table", (_, lists, blocks, sizes) => {
  const decoder = new HpackDecoder(4096);
  blocks.forEach((hex, i) => {
    expect(decodeBlock(decoder, hex)).toEqual(lists[i]);
    expect(decoder.tableBytes).toBe(sizes[i]);
  });
});

test("the Huffman code is complete and has the values of RFC 7541 appendix B", () => {
  const used = CODE_LENGTHS.reduce((sum, length) => sum + 2 ** -length, 0);
  expect(used).toBe(1);
  const known: [number, number][] = [
    [0, 0x1ff8],
    [10, 0x3ffffffc],
    [32, 0x14],
    [48, 0x0],
    [92, 0x7fff0],
    [97, 0x3],
    [122, 0x7b],
    [249, 0xffffffe],
    [255, 0x3ffffee],
    [256, 0x3fffffff],
  ];
  for (const [symbol, code] of known) expect(CODES[symbol]).toBe(code);
});

test("HpackEncoder writes a request whose fields its peer knows in one byte each", () => {
  const encoder = new HpackEncoder(4096);
  const request = {
    method: "GET",
    scheme: "http",
    authority: "reviews:9080",
    path: "/api/v1/products",
    protocol: "",
    headers: [
      "User-Agent",
      "curl/7.88.1",
      "Accept",
      "*/*",
      "X-Custom",
      "same",
      "Connection",
      "close",
      "Host",
      "x",
    ],
  };
  const lengths = [1, 2, 3].map(() => {
    const bytes = Buffer.alloc(blockBound(request.headers, 64));
    return encoder.writeRequest(bytes, 0, request);
  });
  // :method, :scheme, :authority, :path, user-agent, accept, x-custom.
  expect(lengths[2]).toBe(7);
  expect(lengths[0]).toBeGreaterThan(lengths[1]!);
});

test("HpackEncoder never indexes secrets and ids, and sends an id's name once", () => {
  const encoder = new HpackEncoder(4096);
  const write = (headers: string[]): Buffer => {
    const bytes = Buffer.alloc(400);
    return bytes.subarray(0, encoder.writeTrailers(bytes, 0, headers));
  };
  for (let i = 0; i < 3; i++) {
    // 0001 = never indexed, with static index 23 (authorization) and 32 (cookie).
    expect(write(["Authorization", "Basic eDp5"]).subarray(0, 2)).toEqual(Buffer.of(0x1f, 23 - 15));
    expect(write(["cookie", "a=b"]).subarray(0, 2)).toEqual(Buffer.of(0x1f, 32 - 15));
  }
  write(["x-request-id", "7f1c2f0e-6f0f-4c41-9d38-0d2f3b8f1f11"]);
  const second = write(["X-Request-Id", "00000000-6f0f-4c41-9d38-0d2f3b8f1f11"]);
  // 0000 = without indexing, name 62, a plain string of 36.
  expect(second.subarray(0, 3)).toEqual(Buffer.of(0x0f, 62 - 15, 36));
  expect(second).toHaveLength(3 + 36);
});

test("HpackEncoder announces the smallest and the last table size before the next block", () => {
  const encoder = new HpackEncoder(4096);
  const bytes = Buffer.alloc(200);
  encoder.writeTrailers(bytes, 0, ["accept", "*/*"]);
  encoder.setPeerTableSize(0);
  encoder.setPeerTableSize(100_000);
  expect(encoder.tableBytes).toBe(0);
  const end = encoder.writeTrailers(bytes, 0, ["accept", "*/*"]);
  expect(bytes.subarray(0, 5).toString("hex")).toBe("203fe11f53");
  expect(end).toBeGreaterThan(5);
  expect(new HpackEncoder(0).writeTrailers(bytes, 0, ["accept", "a"])).toBeGreaterThan(0);
  // A table of no size is announced, and nothing indexed.
  expect(bytes[0]).toBe(0x20);
  expect(bytes[1]! & 0xf0).toBe(0);
});
