import { connect, type Socket } from "node:net";

import { createTestAuthority, eventually, FakeClock, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import { clientHello } from "../../test/client-hello.js";
import {
  backend,
  call,
  closeAll,
  createProxy,
  exchangeBytes,
  rawBackend,
  TestIdentity,
  type TestProxy,
} from "../../test/harness.js";
import {
  apiListener,
  cluster,
  detectedListener,
  endpoints,
  inboundDetectedListener,
  routes,
  routeTo,
  staticCluster,
} from "../../test/resources.js";

const HOST = "db.default.svc.cluster.local";
const SNI = `outbound_.5432_._.${HOST}`;
const CLUSTER = `outbound|5432||${HOST}`;
const LOCAL = `inbound|5432||${HOST}`;
const DB = "spiffe://cluster.local/ns/default/sa/db";
/** Silence, and what the wheel adds. */
const SILENCE_MS = 80;

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

const dialled: Socket[] = [];
afterEach(() => {
  for (const socket of dialled.splice(0)) socket.destroy();
});

interface Caller {
  readonly socket: Socket;
  text(): string;
  outcome(): string | undefined;
}

async function dial(port: number): Promise<Caller> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  dialled.push(socket);
  let text = "";
  let outcome: string | undefined;
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("end", () => (outcome ??= "end"));
  socket.on("error", (error: NodeJS.ErrnoException) => (outcome ??= error.code));
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, text: () => text, outcome: () => outcome };
}

interface Pair {
  readonly client: TestProxy;
  readonly server: TestProxy;
  readonly port: number;
  readonly inboundPort: number;
  /** Of both sidecars. */
  readonly clock: FakeClock;
}

/** An application of which nobody says what it speaks, behind two sidecars with mutual TLS between them. */
async function pair(appPort: number): Promise<Pair> {
  const clock = new FakeClock();
  const identity = async (serviceAccount: string): Promise<TestIdentity> =>
    new TestIdentity(await authority.issue({ serviceAccount }));
  const server = createProxy({ identity: await identity("db"), name: "db", clock });
  server.apply(
    staticCluster(LOCAL, appPort),
    inboundDetectedListener({ sni: SNI, cluster: LOCAL, permissive: true }),
  );
  const inboundPort = (await server.inbound()).tcp.address.port;
  const client = createProxy({ identity: await identity("web"), name: "web", clock });
  client.apply(
    cluster(CLUSTER, { tls: { sni: SNI, spiffeId: DB } }),
    endpoints(CLUSTER, [{ port: inboundPort, mtls: true }]),
    detectedListener("db:5432", { cluster: CLUSTER, routes: "r" }),
    routes("r", [routeTo(CLUSTER)]),
  );
  return { client, server, clock, inboundPort, port: await client.listen("db:5432") };
}

const verdicts = (proxy: TestProxy): unknown =>
  proxy.stack.tcp.detection.ports.all().map(({ port, verdict }) => `${port} ${verdict}`);

/** A server that speaks first. */
const banner = (socket: Socket): void => {
  socket.write("220 ready\r\n");
  socket.on("data", (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()));
};

test("a server that speaks first is heard after the silence, and the next time at once", async () => {
  const app = await rawBackend(banner);
  const { client, server, port, clock } = await pair(app.port);
  const first = await dial(port);
  // The sidecar has the connection, and the clock stands still: nobody has been asked yet.
  await eventually(() => client.stack.tcp.detection.fineWheel.armed === 1);
  expect(app.connections()).toBe(0);
  await clock.advance(SILENCE_MS);
  await eventually(() => expect(first.text()).toBe("220 ready\r\n"));
  first.socket.write("hello");
  await eventually(() => expect(first.text()).toBe("220 ready\r\nHELLO"));
  expect(verdicts(client)).toEqual(["db:5432 server-first"]);
  // No time passes any more.
  const second = await dial(port);
  await eventually(() => expect(second.text()).toBe("220 ready\r\n"));
  // Between the sidecars nothing is looked for: what carries no HTTP offers none.
  expect(verdicts(server)).toEqual([]);
  expect(server.metricsText()).toMatch(/istio_tcp_connections_opened_total\{[^}]*mutual_tls[^}]*\} 2/);
});

test("HTTP is served as HTTP, also of a client that connected ahead and waited", async () => {
  const { port: appPort } = await backend((request, response) => response.end(`app ${request.url}`));
  const { client, port, clock } = await pair(appPort);
  expect((await call(port, "/one")).body).toBe("app /one");
  const ahead = await dial(port);
  await eventually(() => client.stack.tcp.detection.fineWheel.armed > 0);
  await clock.advance(SILENCE_MS);
  const opened = (): number => Number(/cx_total\{[^}]*\} (\d+)/.exec(client.metricsText())?.[1]);
  await eventually(() => opened() === 2);
  ahead.socket.write("GET /two HTTP/1.1\r\nhost: db\r\nconnection: close\r\n\r\n");
  await eventually(() => ahead.text().endsWith("app /two"));
  expect(verdicts(client)).toEqual(["db:5432 http1"]);
  // The connection that was not needed is closed, and was nobody's session.
  await eventually(() => /cx_active\{[^}]*\} 1\n/.test(client.metricsText()));
  expect(client.metricsText()).not.toContain("istio_tcp_connections_opened_total{");
  expect(client.log().filter((line) => line.includes("GET"))).toHaveLength(2);
});

test("a client that speaks first is carried with all that it said, and its end", async () => {
  const app = await rawBackend((socket) => {
    let all = "";
    socket.on("data", (chunk: Buffer) => (all += chunk.toString("latin1")));
    socket.on("end", () => socket.end(`all: ${all}`));
  }, true);
  const { client, port } = await pair(app.port);
  for (const [said, verdict] of [
    ["*1\r\n$4\r\nPING\r\n", "tcp"],
    [clientHello("a.example").toString("latin1"), "tls"],
    // Never more than the beginning of HTTP.
    ["GET", "tls"],
  ] as const) {
    const caller = await dial(port);
    caller.socket.end(Buffer.from(said, "latin1"));
    await eventually(() => caller.outcome() === "end");
    expect(caller.text()).toBe(`all: ${said}`);
    expect(verdicts(client)).toEqual([`db:5432 ${verdict}`]);
  }
});

test("a client that says nothing and ends still hears what the server has to say", async () => {
  const app = await rawBackend((socket) => socket.end("12:00\n"), true);
  const { port } = await pair(app.port);
  const caller = await dial(port);
  caller.socket.end();
  await eventually(() => caller.outcome() === "end");
  expect(caller.text()).toBe("12:00\n");
});

test("a silent client of a server that cannot be reached is reset, one that speaks HTTP is told", async () => {
  const app = await rawBackend(banner);
  const { client, port, clock } = await pair(app.port);
  client.apply(endpoints(CLUSTER, []));
  const silent = await dial(port);
  const speaking = await dial(port);
  await eventually(() => client.stack.tcp.detection.fineWheel.armed === 2);
  await clock.advance(SILENCE_MS);
  speaking.socket.write("GET / HTTP/1.1\r\nhost: db\r\n\r\n");
  await eventually(() => speaking.text().startsWith("HTTP/1.1 503"));
  expect(silent.outcome()).toBeUndefined();
  await clock.advance(3000);
  await eventually(() => expect(silent.outcome()).toBe("ECONNRESET"));
  expect(client.log().some((line) => line.includes(" UH "))).toBe(true);
});

test("TLS goes where its server name says, and everything else to the service itself", async () => {
  const [own, other] = await Promise.all(
    ["own", "other"].map((name) => rawBackend((socket) => socket.once("data", () => socket.end(name)), true)),
  );
  const proxy = createProxy();
  proxy.apply(
    ...[
      ["own", own],
      ["other", other],
    ].flatMap(([name, app]) => [
      cluster(name as string),
      endpoints(name as string, [{ port: (app as { port: number }).port }]),
    ]),
    detectedListener("vault:443", {
      cluster: "own",
      tls: { "exact.example": "other", "*.wild.example": "other" },
    }),
  );
  const port = await proxy.listen("vault:443");
  const answer = (bytes: string | Buffer): Promise<string> => exchangeBytes(port, [bytes.toString("latin1")]);
  const said = async (name: string): Promise<string> => {
    const caller = await dial(port);
    caller.socket.write(clientHello(name));
    await eventually(() => caller.outcome() === "end");
    caller.socket.end();
    return caller.text();
  };
  expect(await said("exact.example")).toBe("other");
  expect(await said("A.Wild.Example")).toBe("other");
  expect(await said("wild.example")).toBe("own");
  expect(await said("not-exact.example")).toBe("own");
  expect(await said("192.0.2.1")).toBe("own");
  // A port that carries no HTTP does not take it apart.
  expect(await answer("GET / HTTP/1.1\r\n\r\n")).toBe("own");
  await eventually(() => expect(proxy.log().join("\n")).toContain(" exact.example "));
});

test("a name that comes late leaves the connection that was opened without it", async () => {
  const own = await rawBackend(() => undefined);
  const other = await rawBackend((socket) => socket.once("data", () => socket.end("other")), true);
  const clock = new FakeClock();
  const proxy = createProxy({ clock });
  proxy.apply(
    cluster("own"),
    endpoints("own", [{ port: own.port }]),
    cluster("other"),
    endpoints("other", [{ port: other.port }]),
    detectedListener("vault:443", { cluster: "own", tls: { "exact.example": "other" } }),
  );
  const caller = await dial(await proxy.listen("vault:443"));
  await eventually(() => proxy.stack.tcp.detection.fineWheel.armed === 1);
  await clock.advance(SILENCE_MS);
  await eventually(() => own.connections() === 1);
  caller.socket.write(clientHello("exact.example"));
  await eventually(() => expect(caller.text()).toBe("other"));
  await eventually(() => /cx_active\{cluster_name="own"\} 0/.test(proxy.metricsText()));
});

test("plaintext from outside of the mesh is told apart with the application as the server", async () => {
  const app = await rawBackend((socket) => {
    socket.once("data", (chunk: Buffer) =>
      socket.end(
        chunk.toString().startsWith("GET")
          ? `HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${/x-forwarded-proto/.test(chunk.toString())}`
          : `got ${chunk.length}`,
      ),
    );
  }, true);
  const { server, inboundPort } = await pair(app.port);
  expect((await call(inboundPort, "/")).body).toBe("true");
  expect(await exchangeBytes(inboundPort, "*1\r\n")).toBe("got 4");
  // TLS that does not ask for a name of the mesh is for the application.
  const hello = clientHello("a.example");
  const tls = await dial(inboundPort);
  tls.socket.write(hello);
  await eventually(() => expect(tls.text()).toBe(`got ${hello.length}`));
  expect(verdicts(server)).toEqual(["virtualInbound tls"]);
  // A health check by TCP does not reach it.
  const before = app.connections();
  const check = await dial(inboundPort);
  check.socket.end();
  await eventually(() => check.outcome() === "end");
  expect(app.connections()).toBe(before);
});

test("plaintext from outside of the mesh hears a server that speaks first", async () => {
  const app = await rawBackend(banner);
  const { server, inboundPort, clock } = await pair(app.port);
  const first = await dial(inboundPort);
  await eventually(() => server.stack.tcp.detection.fineWheel.armed > 0);
  await clock.advance(SILENCE_MS);
  await eventually(() => expect(first.text()).toBe("220 ready\r\n"));
  expect(verdicts(server)).toEqual(["virtualInbound server-first"]);
  // Sidecars come here, too: an application must not see a connection for each of them that ends without a word.
  expect(server.stack.tcp.detection.ports.all()).toMatchObject([{ silenceMs: 50 }]);
});

test("a server that speaks first is not heard in plaintext that is not taken any more", async () => {
  const app = await rawBackend((socket) => socket.once("data", () => socket.end("late")));
  const { server, inboundPort, clock } = await pair(app.port);
  const caller = await dial(inboundPort);
  await eventually(() => server.stack.tcp.detection.fineWheel.armed > 0);
  await clock.advance(SILENCE_MS);
  await eventually(() => app.connections() === 1);
  server.apply(inboundDetectedListener({ sni: SNI, cluster: LOCAL }));
  caller.socket.write("*1\r\n");
  await eventually(() => caller.outcome() !== undefined);
  expect(caller.text()).toBe("");
  expect(server.metricsText()).toContain('refused{reason="plaintext"} 1');
});

test("what a service turns out to be when it changes holds for the connections that come after", async () => {
  const { port: appPort } = await backend((_request, response) => response.end("app"));
  const { client, port } = await pair(appPort);
  expect((await call(port)).body).toBe("app");
  client.apply(apiListener("db:5432", "r"));
  expect((await call(port)).body).toBe("app");
  client.apply({ ...apiListener("db:5432", "r"), bytes: undefined });
  expect((await call(port)).status).toBe(404);
});
