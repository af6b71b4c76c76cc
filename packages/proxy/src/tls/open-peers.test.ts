import { once } from "node:events";
import { connect as connectHttp2, constants, type ClientHttp2Session } from "node:http2";
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";

import { createTestAuthority, eventually, FakeClock, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { call, closeAll } from "../../test/harness.js";
import { SNI, startPair, type Pair, type PairOptions } from "../../test/pair.js";

// Connections that were let in, while the certificate that let them in stops counting.

const HOUR_MS = 3_600_000;
let authority: TestAuthority;
let clock: FakeClock;
let pair: Pair;

beforeAll(async () => {
  authority = await createTestAuthority();
});
beforeEach(() => {
  clock = new FakeClock(Date.now());
});
afterEach(closeAll);

async function start(options: PairOptions = {}): Promise<void> {
  pair = await startPair(authority, { certificateClock: clock, ...options });
}

/** A connection with the client's certificate, and what comes back of each request on it. */
async function open(): Promise<{ readonly socket: TLSSocket; ask(): Promise<string> }> {
  const { certificateChainPem: cert, privateKeyPem: key } = pair.clientIdentity.current();
  const socket = connect({
    host: "127.0.0.1",
    port: pair.inboundPort,
    servername: SNI,
    cert,
    key,
    rejectUnauthorized: false,
  });
  await once(socket, "secureConnect");
  socket.on("error", () => undefined);
  return {
    socket,
    ask: () =>
      new Promise((resolve) => {
        const done = (text: string): void => resolve(text);
        socket.once("data", (chunk: Buffer) => done(chunk.toString("latin1").split("\r\n", 1)[0] ?? ""));
        socket.once("close", () => done("closed"));
        if (socket.destroyed) done("closed");
        else socket.write("GET / HTTP/1.1\r\nhost: reviews\r\n\r\n");
      }),
  };
}

async function openHttp2(): Promise<ClientHttp2Session> {
  const { certificateChainPem: cert, privateKeyPem: key } = pair.clientIdentity.current();
  const session = connectHttp2(`https://127.0.0.1:${pair.inboundPort}`, {
    servername: SNI,
    cert,
    key,
    rejectUnauthorized: false,
  });
  session.on("error", () => undefined);
  await once(session, "connect");
  return session;
}

test("a connection ends within a second of its peer's certificate, and a request on it is not served", async () => {
  await start();
  const idle = await open();
  const used = await open();
  expect([await idle.ask(), await used.ask()]).toEqual(["HTTP/1.1 200 OK", "HTTP/1.1 200 OK"]);
  await clock.advance(HOUR_MS - 1000);
  expect(await used.ask()).toBe("HTTP/1.1 200 OK");
  await clock.advance(1500);
  expect(await used.ask()).not.toBe("HTTP/1.1 200 OK");
  await eventually(() => idle.socket.destroyed);
});

test("HTTP/2 is told to go away, may end what is under way, and is cut a second later", async () => {
  let finish = (): void => undefined;
  await start({
    app: (_request, response) => {
      response.flushHeaders();
      finish = () => response.end("late");
    },
  });
  const session = await openHttp2();
  const [fine, slow] = [session.request({ ":path": "/fine" }), session.request({ ":path": "/slow" })];
  slow.on("error", () => undefined);
  await Promise.all([once(fine, "response"), once(slow, "response")]);
  let toldToGo = false;
  session.once("goaway", () => (toldToGo = true));
  await clock.advance(HOUR_MS - 2000);
  // Dates of certificates have no fractions of a second.
  await eventually(async () => {
    if (!toldToGo) await clock.advance(100);
    return toldToGo;
  });
  expect(session.destroyed).toBe(false);
  // Of the two the one that came last.
  finish();
  await once(slow.resume(), "end");
  const cut = once(session, "close");
  await clock.advance(1500);
  await cut;
  expect(fine.destroyed).toBe(true);
});

test("a request that is on its way when its peer's time is over is refused so that it may be sent again", async () => {
  await start();
  const session = await openHttp2();
  const fine = session.request({ ":path": "/fine" });
  await once(fine, "response");
  const trustBundlePem = (await createTestAuthority()).rootCertificatePem;
  pair.serverIdentity.rotate({ ...pair.serverIdentity.current(), trustBundlePem });
  const late = session.request({ ":path": "/late" });
  late.on("error", () => undefined);
  await new Promise((resolve) => late.resume().once("close", resolve));
  expect(late.rstCode).toBe(constants.NGHTTP2_REFUSED_STREAM);
});

test.each([
  [
    "its root is taken away",
    async () => ({ trustBundlePem: (await createTestAuthority()).rootCertificatePem }),
  ],
  [
    "it is revoked",
    async () => ({ revocationListsPem: await authority.revoke([pair.clientIdentity.current()]) }),
  ],
])("a connection ends at once when %s, others stay", async (_what, change) => {
  await start();
  const client = await open();
  expect(await client.ask()).toBe("HTTP/1.1 200 OK");
  const before = pair.serverIdentity.current();
  // Looked at again, twice, and found good.
  const more = (await createTestAuthority()).rootCertificatePem;
  for (const trustBundlePem of [before.trustBundlePem + more, before.trustBundlePem]) {
    pair.serverIdentity.rotate({ ...before, trustBundlePem });
    await clock.advance(1500);
    expect(await client.ask()).toBe("HTTP/1.1 200 OK");
  }
  pair.serverIdentity.rotate({ ...before, ...(await change()) });
  expect(await client.ask()).not.toBe("HTTP/1.1 200 OK");
  await clock.advance(1500);
  await eventually(() => client.socket.destroyed);
});

test("a handshake that had begun before its root was taken away lets nobody in", async () => {
  await start();
  const before = pair.serverIdentity.current();
  const more = (await createTestAuthority()).rootCertificatePem;
  for (const [trustBundlePem, answer] of [
    [before.trustBundlePem + more, "HTTP/1.1 200 OK"],
    [more, "closed"],
  ] as const) {
    // A relay on the way: the server's answer waits there, so the client's last word of the handshake is late.
    const server = connectTcp(pair.inboundPort, "127.0.0.1");
    const relay = createServer((client) => void client.on("error", () => undefined).pipe(server));
    relay.listen(0, "127.0.0.1");
    await once(relay, "listening");
    const accepted = once(relay, "connection") as Promise<[Socket]>;
    const { certificateChainPem: cert, privateKeyPem: key } = pair.clientIdentity.current();
    const { port } = relay.address() as AddressInfo;
    const socket = connect({
      host: "127.0.0.1",
      port,
      servername: SNI,
      cert,
      key,
      rejectUnauthorized: false,
    });
    socket.on("error", () => undefined);
    const [client] = await accepted;
    await once(server, "readable");
    pair.serverIdentity.rotate({ ...before, trustBundlePem });
    server.on("error", () => undefined).pipe(client);
    const said = await new Promise<string>((resolve) => {
      socket.once("data", (chunk: Buffer) => resolve(chunk.toString("latin1").split("\r\n", 1)[0] ?? ""));
      socket.once("close", () => resolve("closed"));
      socket.write("GET / HTTP/1.1\r\nhost: reviews\r\n\r\n");
    });
    expect(said).toBe(answer);
    socket.destroy();
    server.destroy();
    relay.close();
  }
});

test("a client leaves a server whose certificate was revoked, and finds another there", async () => {
  await start();
  expect((await call(pair.port)).status).toBe(200);
  const revoked = pair.serverIdentity.current();
  const revocationListsPem = await authority.revoke([revoked]);
  pair.clientIdentity.rotate({ ...pair.clientIdentity.current(), revocationListsPem });
  expect((await call(pair.port)).status).toBe(503);
  pair.serverIdentity.rotate(await authority.issue({ serviceAccount: "reviews" }));
  expect((await call(pair.port)).status).toBe(200);
});

test("a request that waits for a server whose certificate was revoked is cut", async () => {
  await start({ app: () => undefined });
  const answer = call(pair.port);
  await eventually(() => pair.inbound.connections.busy === 1);
  const revocationListsPem = await authority.revoke([pair.serverIdentity.current()]);
  pair.clientIdentity.rotate({ ...pair.clientIdentity.current(), revocationListsPem });
  await clock.advance(1500);
  expect((await answer).status).toBe(503);
});

test("a client leaves a connection before its server's certificate ends, and goes on with another", async () => {
  await start();
  await clock.advance(HOUR_MS - 1000);
  expect((await call(pair.port)).status).toBe(200);
  expect(pair.inbound.connections.size).toBe(1);
  // Nobody else ends it: on the clock of certificates no time passes.
  await eventually(() => pair.inbound.connections.size === 0);
  expect((await call(pair.port)).status).toBe(200);
});
