import { createRequestParser, type RequestHead } from "@tulle/http";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { deliveries, Recorder } from "../../../http/src/testing/record-events.js";
import { call, closeAll, createProxy, rawBackend } from "../../test/harness.js";
import { sendInPieces } from "../../test/pieces.js";
import { serviceAt } from "../../test/resources.js";

// H1-26: what comes behind a request that asks for another protocol is carried only once the server has switched, and
// is otherwise read by the proxy alone. The server here never switches: all that it gets must be whole requests, each
// one that the proxy made, however the bytes were cut.

const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ADMIN = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
const ws = (line: string, fields: string): string => `${line}\r\nHost: a\r\n${fields}\r\n`;

const HOSTILE: Record<string, string> = {
  "a version that no server has (Pingora CVE-2026-2833)": ws(
    "GET /ws HTTP/1.1",
    `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 1337\r\n${KEY}`,
  ),
  "Connection: keep-alive, Upgrade": ws(
    "GET /ws HTTP/1.1",
    `Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n${KEY}`,
  ),
  "no key": ws("GET /ws HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
  "a protocol that nobody speaks": ws("GET /ws HTTP/1.1", "Upgrade: x\r\nConnection: Upgrade\r\n"),
  "Upgrade: h2c": ws(
    "GET / HTTP/1.1",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
  ),
  "Upgrade: h2c behind another": ws(
    "GET / HTTP/1.1",
    "Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n",
  ),
  "Upgrade: TLS/1.0": ws("GET / HTTP/1.1", "Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n"),
  "Upgrade: HTTP/2.0": ws("GET / HTTP/1.1", "Upgrade: HTTP/2.0\r\nConnection: Upgrade\r\n"),
  "HTTP/1.0": ws("GET / HTTP/1.0", `Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n${KEY}`),
  POST: ws("POST / HTTP/1.1", `Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n${KEY}`),
  "a body": `${ws("GET / HTTP/1.1", `Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n${KEY}`)}GET /`,
  "no Connection: upgrade": ws("GET / HTTP/1.1", `Upgrade: websocket\r\n${KEY}`),
  CONNECT: "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
};

let port: number;
/** What the server answers to an upgrade, and what each of its connections got. */
let status: number;
let received: Buffer[][];

beforeEach(async () => {
  received = [];
  status = 426;
  const { port: backendPort } = await rawBackend((socket) => {
    const chunks: Buffer[] = [];
    received.push(chunks);
    const recorder = new Recorder<RequestHead>();
    const parser = createRequestParser(recorder);
    recorder.after = (event) => {
      if (event !== "end") return;
      const asked = recorder.heads.at(-1)?.upgrade !== "";
      socket.write(`HTTP/1.1 ${asked ? status : 200} Told\r\nContent-Length: 2\r\n\r\nok`);
    };
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      parser.execute(chunk, 0, chunk.length);
    });
  });
  const proxy = createProxy();
  proxy.apply(...serviceAt("a:80", [backendPort]));
  port = await proxy.listen("a:80");
});
afterEach(closeAll);

/** Reads what a connection of the server got as a strict server does; everything must be whole requests of ours. */
function requestsOf(chunks: readonly Buffer[]): readonly RequestHead[] {
  const recorder = new Recorder<RequestHead>();
  const parser = createRequestParser(recorder);
  const bytes = Buffer.concat(chunks);
  expect(parser.execute(bytes, 0, bytes.length)).toBe(bytes.length);
  expect(parser.error).toBeUndefined();
  expect(parser.idle).toBe(true);
  for (const { headers } of recorder.heads) expect(headers).toContain("x-envoy-attempt-count");
  return recorder.heads;
}

describe.each([426, 403, 200])(
  "a server that answers %i to an upgrade is asked nothing but requests:",
  (told) => {
    test.each(Object.entries(HOSTILE))("%s", async (name, bytes) => {
      status = told;
      const whole = Buffer.from(bytes + ADMIN, "latin1");
      for (const [delivery, cuts] of deliveries(whole)) {
        received.length = 0;
        await sendInPieces(port, whole, cuts, "head");
        const heads = received.flatMap(requestsOf);
        const upgrade = heads.filter((head) => head.upgrade !== "");
        for (const head of heads) {
          expect(head.headers.join("\n").toLowerCase(), delivery).not.toMatch(
            /h2c|tls\/|http\/2|http2-settings/,
          );
        }
        // What came in one piece with an upgrade, or CONNECT, is not read at all.
        if (cuts.length === 0 && (upgrade.length > 0 || name === "CONNECT")) {
          expect(heads.filter((head) => head.target === "/admin")).toEqual([]);
        }
      }
      expect((await call(port, "/honest")).body).toBe("ok");
    });
  },
);

test("whatever comes behind an upgrade, and however it is cut, a server that does not switch never sees it as it came", async () => {
  const ask = ws("GET /ws HTTP/1.1", "Upgrade: x\r\nConnection: Upgrade\r\n");
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constantFrom(ADMIN, ask, `${ADMIN}${ask}`, "\r\n", "0\r\n\r\n"),
      ),
      fc.array(fc.nat(400), { maxLength: 6 }),
      fc.constantFrom(426, 403, 200),
      async (behind, at, told) => {
        status = told;
        received.length = 0;
        const bytes = Buffer.from(ask + behind, "latin1");
        const cuts = [...new Set(at)].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b);
        await sendInPieces(port, bytes, cuts, "head");
        for (const chunks of received) requestsOf(chunks);
      },
    ),
    { numRuns: 60 },
  );
});
