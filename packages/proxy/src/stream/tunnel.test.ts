import { createHash } from "node:crypto";

import { systemClock } from "@tulle/base";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, describe, expect, test } from "vitest";

import { call, closeAll, createProxy, rawBackend, type TestProxy } from "../../test/harness.js";
import { SNI, startPair } from "../../test/pair.js";
import { inboundListener, ms, serviceAt } from "../../test/resources.js";
import { Wire } from "../../test/wire.js";
import { drainConnections } from "../lifecycle/drain.js";
import type { HttpListener } from "../listener/outbound-listener.js";

const ASK = "GET /t HTTP/1.1\r\nHost: reviews\r\nConnection: keep-alive, Upgrade\r\nUpgrade: Echo/1\r\n\r\n";
const SWITCHED = "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo/1\r\nX-App: yes\r\n\r\n";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

interface Way {
  readonly port: number;
  /** Client's first. */
  readonly proxies: readonly TestProxy[];
  readonly inbound: HttpListener | undefined;
  /** Connections of the application. */
  readonly app: Wire[];
}

/** A way to an application that the test plays itself. */
async function way(hop: string, onHead?: (wire: Wire, head: string) => void): Promise<Way> {
  const app: Wire[] = [];
  const { port: appPort } = await rawBackend((socket) => {
    const wire = new Wire(socket);
    app.push(wire);
    if (onHead === undefined) return;
    socket.on("data", () => {
      const end = wire.received.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = wire.received.slice(0, end + 4);
      wire.received = wire.received.slice(end + 4);
      onHead(wire, head);
    });
  }, true);
  if (hop === "one proxy") {
    const proxy = createProxy();
    proxy.apply(...serviceAt("reviews:9080", [appPort]));
    return { port: await proxy.listen("reviews:9080"), proxies: [proxy], inbound: undefined, app };
  }
  const alpn = hop === "HTTP/1.1 between sidecars" ? ["http/1.1"] : ["h2", "http/1.1"];
  const { port, client, server, inbound } = await startPair(authority, { appPort, alpn });
  return { port, proxies: [client, server], inbound, app };
}

/** A tunnel that stands: the client's end and the application's. */
async function tunnel(hop: string): Promise<Way & { client: Wire; server: Wire }> {
  const made = await way(hop);
  const client = Wire.to(made.port);
  client.send(ASK);
  const server = await eventually(() => made.app[0]);
  await server.until("\r\n\r\n");
  server.send(SWITCHED);
  await client.until("\r\n\r\n");
  return { ...made, client, server };
}

/** What a proxy counts as under way: each exchange once for its cluster and once for its endpoint. */
function inFlight({ load }: TestProxy): number {
  let sum = 0;
  for (let slot = 0; slot < 16; slot++) sum += load.inFlight(slot);
  return sum;
}

async function logged({ proxies }: Way, what: RegExp): Promise<void> {
  for (const proxy of proxies) {
    await eventually(() => proxy.log().length > 0);
    expect(proxy.log()).toHaveLength(1);
    expect(proxy.log()[0]).toMatch(what);
  }
}

describe.each(["one proxy", "HTTP/2 between sidecars", "HTTP/1.1 between sidecars"])("through %s", (hop) => {
  test("an upgrade is asked for and confirmed on every hop, and bytes flow both ways", async () => {
    const made = await way(hop);
    const client = Wire.to(made.port);
    client.send(ASK);
    const server = await eventually(() => made.app[0]);
    const asked = await server.until("\r\n\r\n");
    expect(asked).toMatch(/^GET \/t HTTP\/1\.1\r\n/);
    expect(asked.match(/^connection: .*$/gim)).toEqual(["Connection: Upgrade"]);
    expect(asked.match(/^upgrade: .*$/gim)).toEqual(["Upgrade: Echo/1"]);
    // What the server says at once comes with the 101.
    server.send(`${SWITCHED}hello`);
    const answer = await client.until("\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(answer).toContain("\r\nConnection: Upgrade\r\nUpgrade: Echo/1\r\n");
    expect(answer).toContain("\r\nX-App: yes\r\n");
    await client.until("hello");
    client.send("GET /not-http\r\n\r\n\0");
    await server.until("GET /not-http\r\n\r\n\0");
    server.send("HTTP/1.1 200 neither\r\n\r\n");
    await client.until("HTTP/1.1 200 neither\r\n\r\n");
    client.socket.end();
    expect(await server.end()).toBe("end");
    server.send("bye");
    server.socket.end();
    await client.until("bye");
    expect(await client.end()).toBe("end");
    await logged(made, /"GET \/t HTTP\/\S+" 101 - via_upstream - "-" 18 32 /);
    for (const proxy of made.proxies) {
      expect(proxy.metricsText()).toMatch(/istio_requests_total\{[^}]*response_code="101"[^}]*\} 1\n/);
    }
  });

  test("the server may end its direction first", async () => {
    const made = await tunnel(hop);
    const { client, server } = made;
    expect(made.proxies.map(inFlight)).toEqual(made.proxies.map(() => 2));
    server.send("all there is");
    server.socket.end();
    await client.until("all there is");
    expect(await client.end()).toBe("end");
    client.send("still here");
    await server.until("still here");
    client.socket.end();
    expect(await server.end()).toBe("end");
    await logged(made, / 101 - via_upstream - "-" 10 12 /);
    expect(made.proxies.map(inFlight)).toEqual(made.proxies.map(() => 0));
  });

  test("nothing is carried before the server has switched", async () => {
    const made = await way(hop);
    const client = Wire.to(made.port);
    client.send(`${ASK}early `);
    const server = await eventually(() => made.app[0]);
    await server.until("\r\n\r\n");
    client.send("bird");
    // An exchange on another connection, and all that came before it is done.
    server.received = "";
    const other = Wire.to(made.port);
    other.send(ASK);
    await eventually(() => made.app[1]?.received.endsWith("\r\n\r\n"));
    expect(server.received).toBe("");
    server.send(SWITCHED);
    await server.until("early bird");
  });

  test("an upgrade that is refused leaves a connection for other requests", async () => {
    const made = await way(hop, (wire, head) => {
      wire.send(
        head.includes("Upgrade")
          ? "HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nno!\r\n"
          : "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
      );
    });
    const client = Wire.to(made.port);
    for (let i = 0; i < 3; i++) {
      client.send(ASK);
      expect(await client.until("no!\r\n")).toMatch(/^HTTP\/1\.1 401 /);
      client.send("GET /plain HTTP/1.1\r\nHost: reviews\r\n\r\n");
      expect(await client.until("ok\n")).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(made.app).toHaveLength(1);
  });

  test.each([426, 403, 200])(
    "an upgrade that is answered with %i is answered so, and what came early reaches nobody",
    async (status) => {
      const heads: string[] = [];
      const made = await way(hop, (wire, head) => {
        heads.push(head);
        setImmediate(() =>
          wire.send(`HTTP/1.1 ${status} Told\r\nX-App: yes\r\nContent-Length: 4\r\n\r\nbody`),
        );
      });
      const client = Wire.to(made.port);
      client.send(`${ASK}GET /admin HTTP/1.1\r\nHost: reviews\r\n\r\n`);
      const answer = await client.until("body");
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(answer).toContain("connection: close");
      expect(answer).not.toContain("x-tulle");
      expect(await client.end()).toBe("end");
      expect(heads).toHaveLength(1);
      expect(made.app.map(({ received }) => received)).toEqual([""]);
    },
  );

  test("a reader that rests stops the writer, and gets everything", async () => {
    const { client, server } = await tunnel(hop);
    const bytes = Buffer.alloc(24 * 1024 * 1024, "0123456789");
    const hash = (text: string): string => createHash("sha1").update(text, "latin1").digest("hex");
    const expected = hash(bytes.toString("latin1"));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      to.socket.pause();
      from.socket.write(bytes);
      let left = 0;
      // Nothing moves any more: what is on its way fills every buffer between the two.
      await eventually(() => left === (left = from.socket.bytesWritten - from.socket.writableLength));
      expect(from.socket.writableLength).toBeGreaterThan(8 * 1024 * 1024);
      to.received = "";
      to.socket.resume();
      await eventually(() => to.received.length === bytes.length, 20_000);
      expect(hash(to.received)).toBe(expected);
    }
  }, 40_000);
});

// Node.js can reset no connection below its TLS: between sidecars that speak HTTP/1.1 a cut arrives as an end.
describe.each(["one proxy", "HTTP/2 between sidecars"])("through %s", (hop) => {
  test("a client that breaks off breaks the server's connection off", async () => {
    const made = await tunnel(hop);
    made.client.socket.resetAndDestroy();
    expect(await made.server.end()).toBe("ECONNRESET");
    await logged(made, / 101 DC downstream_remote_disconnect /);
  });

  test("a server that breaks off breaks the client's connection off", async () => {
    const made = await tunnel(hop);
    made.server.socket.resetAndDestroy();
    expect(await made.client.end()).toBe("ECONNRESET");
    await logged(
      made,
      / 101 (?:UC upstream_reset_after_response_started\{connection_termination\}|UR upstream_reset_after_response_started\{remote_reset\}) /,
    );
  });
});

test("a WebSocket handshake is made on every hop: key and accept belong together, the rest is passed on", async () => {
  const made = await way("HTTP/2 between sidecars");
  const client = Wire.to(made.port);
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  const fields =
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
  client.send(
    `GET /ws HTTP/1.1\r\nHost: reviews\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\n${fields}\r\n`,
  );
  const server = await eventually(() => made.app[0]);
  const asked = await server.until("\r\n\r\n");
  for (const field of fields.trimEnd().split("\r\n")) expect(asked).toContain(`\r\n${field}\r\n`);
  const keys = [...asked.matchAll(/^Sec-WebSocket-Key: (.*)$/gm)].map((match) => match[1]!.trim());
  expect(keys).toHaveLength(1);
  expect(Buffer.from(keys[0]!, "base64")).toHaveLength(16);
  const accept = createHash("sha1").update(`${keys[0]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  server.send(
    `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
  );
  const answer = await client.until("\r\n\r\n");
  // RFC 6455 section 1.3 has this pair.
  expect(answer).toContain("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
  expect(answer.match(/Sec-WebSocket-Accept/gi)).toHaveLength(1);
  expect(answer).toContain("\r\nSec-WebSocket-Protocol: chat\r\n");
});

test.each([
  ["no Upgrade", "Connection: upgrade\r\n", "101 without Upgrade: echo/1"],
  ["another protocol", "Connection: upgrade\r\nUpgrade: other\r\n", "101 without Upgrade: echo/1"],
  ["no Connection: upgrade", "Upgrade: echo/1\r\n", "101 without Connection: Upgrade"],
])("a 101 with %s is none", async (_what, fields, why) => {
  const made = await way("one proxy", (wire) => wire.send(`HTTP/1.1 101 x\r\n${fields}\r\nevil`));
  const client = Wire.to(made.port);
  client.send(ASK.replace("Echo/1", "echo/1"));
  const answer = await client.until("port?\n");
  expect(answer).toMatch(/^HTTP\/1\.1 502 /);
  expect(answer).toContain(why);
  expect(await made.app[0]!.end()).toMatch(/end|ECONNRESET/);
});

test("a 101 with a wrong Sec-WebSocket-Accept is none", async () => {
  const fields =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  const made = await way("one proxy", (wire) => wire.send(`HTTP/1.1 101 x\r\n${fields}\r\n`));
  const headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const answer = await call(made.port, "/", { headers });
  expect(answer.status).toBe(502);
  expect(answer.body).toContain("wrong Sec-WebSocket-Accept");
});

test.each(["", "Sec-WebSocket-Key: short\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n".repeat(2)])(
  "a WebSocket handshake with %j is answered with 400 and asks nobody",
  async (field) => {
    const made = await way("one proxy");
    const client = Wire.to(made.port);
    client.send(`GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${field}\r\n`);
    expect(await client.until("4.1)\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(made.app).toEqual([]);
  },
);

test("a 101 that nobody asked for is none", async () => {
  const made = await way("one proxy", (wire) =>
    wire.send(`${SWITCHED}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`),
  );
  const answer = await call(made.port);
  expect(answer.status).toBe(502);
  expect(answer.body).toContain("unsolicited 101");
});

test.each(["one proxy", "HTTP/2 between sidecars"])(
  "through %s a request whose upgrade is not honoured goes on as an ordinary one",
  async (hop) => {
    const heads: string[] = [];
    const made = await way(hop, (wire, head) => {
      heads.push(head);
      wire.received = "";
      wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    const ask = (line: string, fields: string): string => `${line}\r\nHost: reviews\r\n${fields}\r\n`;
    const ignored = [
      ask(
        "GET / HTTP/1.1",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
      ),
      ask("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n"),
      ask("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n"),
      ask("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
      ask("GET / HTTP/1.1", "Upgrade: websocket\r\n"),
      ask("GET / HTTP/1.0", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"),
      ask("POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"),
      `${ask("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n")}abc`,
    ];
    const client = Wire.to(made.port);
    for (const text of ignored) {
      client.send(text);
      expect(await client.until("\r\n\r\nok")).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(heads).toHaveLength(ignored.length);
    expect(heads.join("").toLowerCase()).not.toMatch(/upgrade|http2-settings/);
  },
);

test("draining waits for a tunnel, and cuts it at the end of its time", async () => {
  const made = await tunnel("HTTP/2 between sidecars");
  const { inbound, client, server } = made;
  if (inbound === undefined) throw new Error("the way has no inbound listener");
  expect(inbound.connections.busy).toBe(1);
  let drained = false;
  const draining = drainConnections(inbound.connections, 300, systemClock).then(() => (drained = true));
  client.send("still here");
  await server.until("still here");
  expect(drained).toBe(false);
  await draining;
  expect(await client.end()).toBe("ECONNRESET");
  expect(await server.end()).toBe("ECONNRESET");
});

test("an upgrade is not asked for again once its request has left", async () => {
  const made = await way("one proxy", (wire) => wire.socket.destroy());
  const client = Wire.to(made.port);
  client.send(ASK);
  expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 503 /);
  expect(made.app).toHaveLength(1);
});

test("an upgrade on a pooled connection that its server just closed is asked for again, unseen", async () => {
  const made = await way("one proxy", (wire, head) => {
    if (!head.includes("Upgrade")) wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    else if (wire === made.app[0]) wire.socket.destroy();
    else wire.send(SWITCHED);
  });
  expect((await call(made.port)).body).toBe("ok");
  const client = Wire.to(made.port);
  client.send(ASK);
  expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 101 /);
  expect(made.app).toHaveLength(2);
});

test("a change from permissive to strict cuts a tunnel in plaintext before its next byte", async () => {
  const app: Wire[] = [];
  const { port: appPort } = await rawBackend((socket) => app.push(new Wire(socket)), true);
  const { server, inboundPort } = await startPair(authority, { appPort, permissive: true });
  const client = Wire.to(inboundPort);
  client.send(ASK);
  const upstream = await eventually(() => app[0]);
  await upstream.until("\r\n\r\n");
  upstream.send(SWITCHED);
  await client.until("\r\n\r\n");
  client.send("still");
  await upstream.until("still");
  server.apply(inboundListener({ sni: SNI, cluster: "inbound|9080||reviews.default.svc.cluster.local" }));
  client.send("not any more");
  expect(await client.end()).toBe("ECONNRESET");
  expect(await upstream.end()).toBe("ECONNRESET");
  expect(upstream.received).toBe("");
  expect(server.log()[0]).toContain(" 101 - listener_changed ");
});

test("the route's timeout is for the answer to an upgrade, not for its tunnel", async () => {
  const app: Wire[] = [];
  const { port: appPort } = await rawBackend((socket) => app.push(new Wire(socket)), true);
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [appPort], { timeout: ms(200) }));
  const port = await proxy.listen("reviews:9080");
  const [client, late] = [Wire.to(port), Wire.to(port)];
  client.send(ASK);
  const server = await eventually(() => app[0]);
  await server.until("\r\n\r\n");
  server.send(SWITCHED);
  await client.until("\r\n\r\n");
  late.send(ASK);
  expect(await late.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 504 /);
  client.send("still here");
  await server.until("still here");
});

/** What may happen to a tunnel, or to one that is asked for, by who does it. */
const FATES: Record<string, (client: Wire, server: Wire) => void> = {
  "client ends": (client) => client.socket.end("last"),
  "server ends": (_client, server) => server.socket.end("last"),
  "both end": (client, server) => {
    client.socket.end("last");
    server.socket.end("last");
  },
  "client breaks off": (client) => client.socket.resetAndDestroy(),
  "server breaks off": (_client, server) => server.socket.resetAndDestroy(),
  "both break off": (client, server) => {
    client.socket.resetAndDestroy();
    server.socket.resetAndDestroy();
  },
  "client leaves with bytes on their way": (client, server) => {
    server.socket.write(Buffer.alloc(300_000));
    client.socket.destroy();
  },
  "server leaves with bytes on their way": (client, server) => {
    client.socket.write(Buffer.alloc(300_000));
    server.socket.destroy();
  },
};

test.each(["one proxy", "HTTP/2 between sidecars"])(
  "through %s every tunnel is accounted for once and leaves nothing, however it ends and whenever",
  async (hop) => {
    const COUNT = 160;
    const fates = Object.values(FATES);
    const clients: Wire[] = [];
    const made = await way(hop, (server, head) => {
      const i = Number(/GET \/(\d+) /.exec(head)?.[1]);
      const client = clients[i];
      const fate = fates[i % fates.length];
      if (client === undefined || fate === undefined) throw new Error(`nobody asked ${head}`);
      // A half closes on the end of the other; some fates come before the 101, some with it, some after.
      server.socket.on("end", () => server.socket.end());
      client.socket.on("end", () => client.socket.end());
      const moment = Math.floor(i / fates.length) % 3;
      if (moment === 0) fate(client, server);
      server.send(SWITCHED);
      if (moment === 1) fate(client, server);
      else if (moment === 2)
        void client.until("\r\n\r\n").then(
          () => fate(client, server),
          () => undefined,
        );
    });
    for (let i = 0; i < COUNT; i++) {
      const client = Wire.to(made.port);
      clients.push(client);
      // Where no tunnel comes about, its connection ends with the answer.
      client.send(ASK.replace("/t", `/${i}`).replace("keep-alive", "close"));
    }
    await eventually(() => clients.every(({ ended }) => ended !== ""));
    await eventually(() => made.app.every(({ socket }) => socket.destroyed));
    for (const proxy of made.proxies) {
      await eventually(() => proxy.log().length >= COUNT);
      const asked = proxy.log().map((line) => /"GET \/(\d+) /.exec(line)?.[1]);
      expect(new Set(asked).size).toBe(COUNT);
      expect(asked).toHaveLength(COUNT);
      expect(inFlight(proxy)).toBe(0);
    }
    if (made.inbound === undefined) return;
    expect(made.inbound.connections.busy).toBe(0);
    // A connection that is given up goes once none of its streams is in use.
    const [caller] = made.proxies;
    caller?.stack.pools.renewMutualTls();
    const active = /envoy_cluster_upstream_cx_active\{[^}]*\} (\d+)\n/;
    await eventually(() => active.exec(caller?.metricsText() ?? "")?.[1] === "0");
  },
);
