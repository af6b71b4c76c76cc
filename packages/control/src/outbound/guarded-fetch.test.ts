import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

import { systemClock } from "@tulle/base";
import { createTestAuthority, eventually, FakeClock } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { createGuardedFetch } from "./guarded-fetch.js";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function serve(
  listener: RequestListener,
): Promise<{ readonly port: number; readonly asked: () => number }> {
  let count = 0;
  const port = await listen(
    createServer((request, response) => {
      count++;
      listener(request, response);
    }),
  );
  return { port, asked: () => count };
}

test.each([
  ["https://127.0.0.1/", "OUTBOUND_TARGET"],
  ["https://localhost/", "OUTBOUND_TARGET"],
  ["https://2130706433/", "OUTBOUND_TARGET"],
  ["https://0177.0.0.1/", "OUTBOUND_TARGET"],
  ["https://0x7f.1/", "OUTBOUND_TARGET"],
  ["https://[::1]/", "OUTBOUND_TARGET"],
  ["https://[::ffff:127.0.0.1]/", "OUTBOUND_TARGET"],
  ["https://0.0.0.0/", "OUTBOUND_TARGET"],
  ["https://169.254.169.254/latest/meta-data", "OUTBOUND_TARGET"],
  ["https://[fd00:ec2::254]/", "OUTBOUND_TARGET"],
  ["https://[fe80::1]/", "OUTBOUND_TARGET"],
  ["http://idp.example/", "OUTBOUND_URL"],
  ["file:///etc/passwd", "OUTBOUND_URL"],
  ["gopher://idp.example/", "OUTBOUND_URL"],
  ["https://user:secret@idp.example/", "OUTBOUND_URL"],
  ["not a url", "OUTBOUND_URL"],
  [`https://idp.example/${"a".repeat(4000)}`, "OUTBOUND_URL"],
])("SSRF-01 createGuardedFetch refuses %s", async (url, code) => {
  const fetch = createGuardedFetch({ clock: systemClock, loopback: false });
  const failed = await fetch(url).then(
    () => undefined,
    (error: unknown) => error as { readonly code: string; readonly message: string },
  );
  expect(failed?.code).toBe(code);
  expect(failed?.message).not.toContain("secret");
});

test("createGuardedFetch refuses a name when one of its addresses is not allowed, and connects nowhere", async () => {
  const { port, asked } = await serve((_request, response) => response.end("{}"));
  const lookup = (): Promise<{ address: string; family: number }[]> =>
    Promise.resolve([
      { address: "10.0.0.1", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ]);
  const fetch = createGuardedFetch({ clock: systemClock, loopback: false, plaintext: true, lookup });
  await expect(fetch(`http://idp.example:${port}/`)).rejects.toMatchObject({ code: "OUTBOUND_TARGET" });
  expect(asked()).toBe(0);
});

test("createGuardedFetch connects to the address that it looked at: a name is resolved once", async () => {
  const { port } = await serve((request, response) => response.end(request.headers.host));
  const answers = ["127.0.0.1", "169.254.169.254"];
  let lookups = 0;
  const fetch = createGuardedFetch({
    clock: systemClock,
    loopback: true,
    plaintext: true,
    lookup: () => Promise.resolve([{ address: answers[lookups++] ?? "", family: 4 }]),
  });
  expect(await fetch(`http://idp.example:${port}/`)).toMatchObject({
    status: 200,
    body: `idp.example:${port}`,
  });
  expect(lookups).toBe(1);
  await expect(fetch(`http://idp.example:${port}/`)).rejects.toMatchObject({ code: "OUTBOUND_TARGET" });
});

test("createGuardedFetch follows no redirect", async () => {
  const inside = await serve((_request, response) => response.end("inside"));
  const { port } = await serve((_request, response) =>
    response.writeHead(302, { location: `http://127.0.0.1:${inside.port}/` }).end(),
  );
  const fetch = createGuardedFetch({ clock: systemClock, loopback: true, plaintext: true });
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: "OUTBOUND_FAILED" });
  expect(inside.asked()).toBe(0);
});

test("createGuardedFetch sends what it is told, and takes bodies up to its limit", async () => {
  const { port } = await serve((request, response) => {
    if (request.url === "/big") return void response.end("x".repeat(2000));
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () =>
      response.writeHead(404).end(`${request.method} ${String(request.headers["x-a"])} ${body}`),
    );
  });
  const fetch = createGuardedFetch({ clock: systemClock, loopback: true, plaintext: true, maxBytes: 1000 });
  const request = { method: "POST", headers: { "x-a": "b" }, body: "c" } as const;
  expect(await fetch(`http://127.0.0.1:${port}/`, request)).toMatchObject({ status: 404, body: "POST b c" });
  await expect(fetch(`http://127.0.0.1:${port}/big`)).rejects.toMatchObject({ code: "OUTBOUND_TOO_LARGE" });
});

test("createGuardedFetch gives up in time, on a slow answer and on a slow resolver", async () => {
  const clock = new FakeClock();
  const { port, asked } = await serve(() => undefined);
  const fetch = createGuardedFetch({ clock, loopback: true, plaintext: true, timeoutMs: 500 });
  const slow = expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: "OUTBOUND_TIMEOUT" });
  await eventually(() => asked() === 1);
  await clock.advance(500);
  await slow;
  const stuck = createGuardedFetch({
    clock,
    loopback: true,
    timeoutMs: 500,
    lookup: () => new Promise(() => undefined),
  });
  const resolving = expect(stuck("https://idp.example/")).rejects.toMatchObject({ code: "OUTBOUND_TIMEOUT" });
  await clock.advance(500);
  await resolving;
});

test("createGuardedFetch verifies the server by its name, against the roots that it is given", async () => {
  const authority = await createTestAuthority();
  const issued = await authority.issue({ uris: [], dnsNames: ["idp.example"] });
  const port = await listen(
    createTlsServer({ cert: issued.certificateChainPem, key: issued.privateKeyPem }, (_request, response) => {
      response.end("{}");
    }),
  );
  const common = {
    clock: systemClock,
    loopback: true,
    lookup: () => Promise.resolve([{ address: "127.0.0.1", family: 4 }]),
  };
  const trusting = createGuardedFetch({ ...common, ca: authority.rootCertificatePem });
  expect((await trusting(`https://idp.example:${port}/`)).status).toBe(200);
  await expect(trusting(`https://other.example:${port}/`)).rejects.toMatchObject({ code: "OUTBOUND_FAILED" });
  await expect(createGuardedFetch(common)(`https://idp.example:${port}/`)).rejects.toMatchObject({
    code: "OUTBOUND_FAILED",
  });
});
