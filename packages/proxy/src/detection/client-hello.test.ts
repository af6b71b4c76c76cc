import { createServer, type AddressInfo } from "node:net";
import { connect, type ConnectionOptions } from "node:tls";

import fc from "fast-check";
import { expect, test } from "vitest";

import { alpn, clientHello, helloMessage, inRecords, padding, serverNames } from "../../test/client-hello.js";
import { MAX_HELLO_BYTES, readClientHello } from "./client-hello.js";

/** What OpenSSL sends first. */
async function captured(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const first = new Promise<Buffer>((resolve) => {
    server.once("connection", (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (bytes: Buffer) => {
        resolve(bytes);
        socket.destroy();
      });
    });
  });
  const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", ...options });
  client.on("error", () => undefined);
  const bytes = await first;
  client.destroy();
  server.close();
  return bytes;
}

test("readClientHello reads what OpenSSL sends", async () => {
  const named = await captured({ servername: "Reviews.Example.COM", ALPNProtocols: ["h2", "http/1.1"] });
  expect(readClientHello(named)).toEqual({ serverName: "reviews.example.com", alpn: ["h2", "http/1.1"] });
  const old = await captured({ maxVersion: "TLSv1.2", servername: "a.b" });
  expect(readClientHello(old)).toEqual({ serverName: "a.b", alpn: [] });
  expect(readClientHello(await captured({}))).toEqual({ serverName: "", alpn: [] });
});

const nameIn = (...names: readonly Buffer[]): string | undefined => {
  const hello = readClientHello(inRecords(helloMessage([serverNames(...names)])));
  return typeof hello === "object" ? hello.serverName : undefined;
};

test.each([
  ["plain.example", "plain.example"],
  ["UPPER.example", "upper.example"],
  [
    "outbound_.9080_._.reviews.default.svc.cluster.local",
    "outbound_.9080_._.reviews.default.svc.cluster.local",
  ],
  ["a\0.example", ""],
  ["a%00.example", ""],
  ["a b.example", ""],
  ["*.example", ""],
  ["é.example", ""],
  ["192.0.2.1", ""],
  ["::1", ""],
  ["[::1]", ""],
  ["", ""],
  [".", ""],
  ["a..b", ""],
  ["a.", ""],
  [`${"a".repeat(64)}.example`, ""],
  [`${"a.".repeat(126)}a`, `${"a.".repeat(126)}a`],
  [`${"a.".repeat(127)}a`, ""],
  ["a".repeat(5000), ""],
])("readClientHello takes the name %j for %j", (written, expected) => {
  expect(nameIn(Buffer.from(written, "latin1"))).toBe(expected);
});

test("readClientHello believes no name of several", () => {
  expect(nameIn(Buffer.from("a.example"), Buffer.from("b.example"))).toBe("");
  const twice = helloMessage([serverNames(Buffer.from("a.example")), serverNames(Buffer.from("b.example"))]);
  expect(readClientHello(inRecords(twice))).toEqual({ serverName: "", alpn: [] });
});

test("readClientHello reads one without extensions, and one that lies in many records", () => {
  expect(readClientHello(inRecords(helloMessage([])))).toEqual({ serverName: "", alpn: [] });
  const message = helloMessage([padding(3000), serverNames(Buffer.from("far.example")), alpn("x")]);
  for (const recordBytes of [1, 2, 3, 4, 5, 100, 3000]) {
    expect(readClientHello(inRecords(message, recordBytes))).toEqual({
      serverName: "far.example",
      alpn: ["x"],
    });
  }
});

test("readClientHello does not wait for one that is too long", () => {
  const bytes = inRecords(helloMessage([padding(MAX_HELLO_BYTES), serverNames(Buffer.from("far.example"))]));
  expect(readClientHello(bytes.subarray(0, 20))).toEqual({ serverName: "", alpn: [] });
});

test.each([
  ["another record", [23, 3, 3, 0, 1, 1]],
  ["another version", [22, 2]],
  ["another handshake message", [22, 3, 1, 0, 5, 2]],
  ["an empty record", [22, 3, 1, 0, 0]],
  ["a record that is too long", [22, 3, 1, 0x40, 1]],
  ["a message whose lengths do not fit", [22, 3, 1, 0, 5, 1, 0, 0, 1, 3]],
])("readClientHello refuses %s", (_what, bytes) => {
  expect(readClientHello(Buffer.from(bytes))).toBeUndefined();
});

test("readClientHello says the same of any bytes, however many of them have come", () => {
  const whole = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc
      .uint8Array({ maxLength: 300 })
      .map((bytes) => inRecords(Buffer.concat([Buffer.from([1, 0, 0]), bytes]), 7)),
    fc
      .tuple(fc.string({ unit: "binary", maxLength: 40 }), fc.integer({ min: 1, max: 400 }))
      .map(([name, recordBytes]) =>
        inRecords(helloMessage([serverNames(Buffer.from(name)), alpn("h2")]), recordBytes),
      ),
    // One byte of a good one is another.
    fc.tuple(fc.nat(100), fc.nat(255)).map(([at, value]) => {
      const bytes = clientHello("a.example");
      bytes[at % bytes.length] = value;
      return bytes;
    }),
  );
  fc.assert(
    fc.property(whole, (bytes) => {
      const last = readClientHello(bytes);
      for (let length = 0; length < bytes.length; length++) {
        const found = readClientHello(bytes.subarray(0, length));
        if (typeof found === "number") expect(found).toBeGreaterThan(length);
        else expect(found).toEqual(last);
      }
      if (typeof last === "number") expect(last).toBeGreaterThan(bytes.length);
    }),
    { numRuns: 300 },
  );
});
