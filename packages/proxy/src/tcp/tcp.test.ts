import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

import { systemClock } from "@tulle/base";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  closedPort,
  createProxy,
  rawBackend,
  TestIdentity,
  type TestProxy,
} from "../../test/harness.js";
import {
  cluster,
  endpoints,
  inboundTcpListener,
  ms,
  serviceAt,
  staticCluster,
  tcpListener,
} from "../../test/resources.js";
import { drainConnections } from "../lifecycle/drain.js";
import type { HttpListener } from "../listener/outbound-listener.js";
import { resetEnd } from "./tcp-pipe.js";

const SNI = "outbound_.5432_._.db.default.svc.cluster.local";
const CLUSTER = "outbound|5432||db.default.svc.cluster.local";
const LOCAL = "inbound|5432||db.default.svc.cluster.local";
const DB = "spiffe://cluster.local/ns/default/sa/db";
const WEB = "spiffe://cluster.local/ns/default/sa/web";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

type Application = (socket: Socket, index: number) => void;

interface Pair {
  readonly client: TestProxy;
  readonly server: TestProxy;
  /** Port that the calling application uses. */
  readonly port: number;
  readonly inbound: HttpListener;
  readonly inboundPort: number;
  readonly app: { readonly port: number; stop(): void };
}

/** An application behind two proxies with mutual TLS between them. */
async function pair(
  application: Application,
  options: { account?: string; permissive?: boolean; clientAuthority?: TestAuthority } = {},
): Promise<Pair> {
  const app = await rawBackend(application, true);
  const server = createProxy({
    identity: new TestIdentity(await authority.issue({ serviceAccount: options.account ?? "db" })),
    name: "db",
  });
  server.apply(
    staticCluster(LOCAL, app.port),
    inboundTcpListener({ sni: SNI, cluster: LOCAL, permissive: options.permissive ?? false }),
  );
  const inbound = await server.inbound();
  const inboundPort = inbound.tcp.address.port;
  const client = createProxy({
    identity: new TestIdentity(await (options.clientAuthority ?? authority).issue({ serviceAccount: "web" })),
    name: "web",
  });
  client.apply(
    cluster(CLUSTER, { tls: { sni: SNI, spiffeId: DB } }),
    endpoints(CLUSTER, [{ port: inboundPort, mtls: true, workload: "db-v1;default;db;v1;Kubernetes" }]),
    tcpListener("db:5432", CLUSTER),
  );
  return { client, server, inbound, inboundPort, app, port: await client.listen("db:5432") };
}

interface Caller {
  readonly socket: Socket;
  /** Everything that came so far. */
  text(): string;
  /** How it ended: "end", or the code of the error; undefined while it is open. */
  outcome(): string | undefined;
}

const callers: Socket[] = [];
afterEach(() => {
  for (const socket of callers.splice(0)) socket.destroy();
});

function dial(port: number): Caller {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  callers.push(socket);
  const chunks: Buffer[] = [];
  let outcome: string | undefined;
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("end", () => (outcome ??= "end"));
  socket.on("error", (error: NodeJS.ErrnoException) => (outcome ??= error.code));
  return { socket, text: () => Buffer.concat(chunks).toString(), outcome: () => outcome };
}

const echo: Application = (socket) => socket.pipe(socket);

/** The value of a metric, of the series with all of `labels`. */
function metric(proxy: TestProxy, name: string, ...labels: string[]): number {
  const line = proxy
    .metricsText()
    .split("\n")
    .find((each) => each.startsWith(`${name}{`) && labels.every((label) => each.includes(label)));
  return line === undefined ? 0 : Number(line.split(" ").at(-1));
}

test("a session carries bytes both ways over mutual TLS, and passes each end on", async () => {
  const { port, client, server } = await pair(echo);
  const caller = dial(port);
  caller.socket.write("ping");
  await eventually(() => expect(caller.text()).toBe("ping"));
  caller.socket.end("last");
  await eventually(() => expect(caller.outcome()).toBe("end"));
  expect(caller.text()).toBe("pinglast");
  await eventually(() => expect(client.log()).toHaveLength(1));
  expect(client.log()[0]).toContain(" 0 - - - ");
  expect(client.log()[0]).toContain(` 8 8 `);
  expect(client.log()[0]).toContain(CLUSTER);
  await eventually(() => expect(server.log()).toHaveLength(1));
  expect(server.log()[0]).toContain(SNI);
});

test("both sides count connections and bytes under Istio's names", async () => {
  const { port, client, server } = await pair((socket) => socket.on("data", () => socket.end("hello")));
  const caller = dial(port);
  caller.socket.write("hi");
  await eventually(() => expect(metric(client, "istio_tcp_received_bytes_total")).toBe(2));
  expect(metric(client, "istio_tcp_connections_opened_total")).toBe(1);
  caller.socket.end();
  await eventually(() => expect(metric(client, "istio_tcp_connections_closed_total")).toBe(1));
  const shared = [
    'request_protocol="tcp"',
    'destination_service="db.default.svc.cluster.local"',
    'source_workload_namespace="default"',
    `source_principal="${WEB}"`,
    `destination_principal="${DB}"`,
    'destination_workload="db-v1"',
    'response_flags="-"',
  ];
  expect(metric(client, "istio_tcp_sent_bytes_total", 'reporter="source"', ...shared)).toBe(5);
  await eventually(() =>
    expect(
      metric(
        server,
        "istio_tcp_connections_closed_total",
        'reporter="destination"',
        'connection_security_policy="mutual_tls"',
        ...shared,
      ),
    ).toBe(1),
  );
  expect(metric(server, "istio_tcp_sent_bytes_total", ...shared)).toBe(5);
  expect(metric(client, "envoy_cluster_upstream_cx_active")).toBe(0);
});

test("a server that speaks first is heard without a word from the client", async () => {
  const { port } = await pair((socket) => socket.write("220 ready\r\n"));
  const caller = dial(port);
  await eventually(() => expect(caller.text()).toBe("220 ready\r\n"));
});

test("a client that has ended still gets all that the server sends after", async () => {
  const { port } = await pair((socket) => {
    socket.resume();
    socket.on("end", () => {
      socket.write("a");
      setImmediate(() => socket.end("b"));
    });
  });
  const caller = dial(port);
  caller.socket.end("question");
  await eventually(() => expect(caller.outcome()).toBe("end"));
  expect(caller.text()).toBe("ab");
});

test("a server that has ended still gets all that the client sends after", async () => {
  let received = "";
  let ended = false;
  const { port } = await pair((socket) => {
    socket.end("bye");
    socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
    socket.on("end", () => (ended = true));
  });
  const caller = dial(port);
  await eventually(() => expect(caller.outcome()).toBe("end"));
  caller.socket.write("still ");
  caller.socket.end("here");
  await eventually(() => expect(ended).toBe(true));
  expect(received).toBe("still here");
});

test("32 MiB arrive whole, and a receiver that does not read holds the sender back", async () => {
  const SIZE = 32 * 1024 * 1024;
  const data = randomBytes(1024 * 1024);
  let server: Socket | undefined;
  const { port, client } = await pair((socket) => {
    server = socket;
    socket.pause();
  });
  const caller = dial(port);
  for (let sent = 0; sent < SIZE; sent += data.length) caller.socket.write(data);
  caller.socket.end();
  const passed = (): number => metric(client, "istio_tcp_received_bytes_total");
  // It comes to a stand: what is under way is what sockets hold.
  let before = -1;
  await eventually(() => {
    const now = passed();
    const stands = now > 0 && now === before;
    before = now;
    return stands;
  });
  expect(before).toBeLessThan(SIZE / 2);
  const hash = createHash("sha256");
  let received = 0;
  let ended = false;
  server?.on("data", (chunk: Buffer) => {
    received += chunk.length;
    hash.update(chunk);
  });
  server?.on("end", () => (ended = true));
  server?.resume();
  await eventually(() => expect(ended).toBe(true), 20_000);
  expect(received).toBe(SIZE);
  const expected = createHash("sha256");
  for (let sent = 0; sent < SIZE; sent += data.length) expected.update(data);
  expect(hash.digest("hex")).toBe(expected.digest("hex"));
}, 30_000);

test("a server that breaks off breaks the client's connection off", async () => {
  const { port, client } = await pair((socket) => {
    socket.once("data", () => {
      socket.write("half an answ");
      socket.once("data", () => resetEnd({ socket, transport: socket }));
    });
  });
  const caller = dial(port);
  caller.socket.write("question");
  await eventually(() => expect(caller.text()).toBe("half an answ"));
  caller.socket.write("?");
  await eventually(() => expect(caller.outcome()).toBe("ECONNRESET"));
  await eventually(() => expect(client.log()[0]).toContain(" 0 UC - upstream_reset "));
});

test("a server that breaks off together with its last bytes is not taken for one that has ended", async () => {
  const { port, client, server } = await pair((socket) => {
    socket.once("data", () => socket.write("half", () => resetEnd({ socket, transport: socket })));
  });
  const caller = dial(port);
  caller.socket.write("question");
  await eventually(() => expect(caller.outcome()).toBeDefined());
  await eventually(() => expect(server.log()[0]).toContain(" 0 UC - upstream_reset "));
  await eventually(() => expect(client.log()[0]).toContain(" 0 UC - upstream_reset "));
});

test("a client that breaks off breaks the server's connection off", async () => {
  let outcome = "";
  const { port } = await pair((socket) => {
    socket.resume();
    socket.on("error", (error: NodeJS.ErrnoException) => (outcome = error.code ?? ""));
    socket.on("end", () => (outcome = "end"));
    socket.write("hello");
  });
  const caller = dial(port);
  await eventually(() => expect(caller.text()).toBe("hello"));
  resetEnd({ socket: caller.socket, transport: caller.socket });
  await eventually(() => expect(outcome).toBe("ECONNRESET"));
});

test("a server that closes while the client still sends is heard to its last word", async () => {
  const { port } = await pair((socket) => {
    socket.once("data", () => socket.end("too much", () => socket.destroy()));
  });
  const caller = dial(port);
  caller.socket.write("x".repeat(1024));
  await eventually(() => expect(caller.text()).toBe("too much"));
  caller.socket.write("x".repeat(1024 * 1024));
  await eventually(() => expect(caller.socket.destroyed || caller.outcome() !== undefined).toBe(true));
});

test("a server with another identity than expected gets no byte, and the client is told", async () => {
  let connections = 0;
  const { port, client } = await pair(() => connections++, { account: "impostor" });
  const caller = dial(port);
  caller.socket.write("secret");
  await eventually(() => expect(caller.outcome()).toBe("ECONNRESET"));
  expect(connections).toBe(0);
  await eventually(() => expect(client.log()[0]).toContain("sa/impostor is not who was expected"));
  expect(client.log()[0]).toContain(" UF - upstream_connect_failure ");
});

test("a client of a foreign authority never reaches the application", async () => {
  let connections = 0;
  const { port } = await pair(() => connections++, { clientAuthority: await createTestAuthority() });
  const caller = dial(port);
  caller.socket.write("secret");
  await eventually(() => expect(caller.outcome()).toBe("ECONNRESET"));
  expect(connections).toBe(0);
});

test("a connection goes to another endpoint when one cannot be connected to, so often and no oftener", async () => {
  const app = await rawBackend((socket) => socket.end("here"));
  const [down, alsoDown] = [await closedPort(), await closedPort()];
  const proxy = createProxy();
  proxy.apply(
    cluster(CLUSTER),
    endpoints(CLUSTER, [{ port: down }, { port: alsoDown }, { port: app.port }]),
    tcpListener("db:5432", CLUSTER, { maxConnectAttempts: 3 }),
  );
  const port = await proxy.listen("db:5432");
  for (let i = 0; i < 10; i++) {
    const caller = dial(port);
    await eventually(() => expect(caller.outcome()).toBe("end"));
    expect(caller.text()).toBe("here");
  }
  proxy.apply(endpoints(CLUSTER, [{ port: down }, { port: alsoDown }]));
  const caller = dial(port);
  await eventually(() => expect(caller.outcome()).toBe("ECONNRESET"));
  await eventually(() => expect(proxy.log().at(-1)).toContain(" UF,URX - upstream_connect_failure "));
  expect(proxy.load.clusterInFlight(0)).toBe(0);
});

test("a connection is refused when there is no endpoint, and when the circuit breaker is open", async () => {
  const app = await rawBackend(echo, true);
  const proxy = createProxy();
  proxy.apply(
    cluster(CLUSTER, { thresholds: { maxConnections: 1 } }),
    endpoints(CLUSTER, []),
    tcpListener("db:5432", CLUSTER),
  );
  const port = await proxy.listen("db:5432");
  const nobody = dial(port);
  await eventually(() => expect(nobody.outcome()).toBe("ECONNRESET"));
  await eventually(() => expect(proxy.log().at(-1)).toContain(" UH - no_healthy_upstream "));
  proxy.apply(endpoints(CLUSTER, [{ port: app.port }]));
  const first = dial(port);
  first.socket.write("1");
  await eventually(() => expect(first.text()).toBe("1"));
  const second = dial(port);
  await eventually(() => expect(second.outcome()).toBe("ECONNRESET"));
  await eventually(() => expect(proxy.log().at(-1)).toContain(" UO - overflow "));
  first.socket.end();
  await eventually(() => expect(first.outcome()).toBe("end"));
});

test("a connection that comes before its configuration waits for it", async () => {
  const app = await rawBackend((socket) => socket.end("here"));
  const proxy = createProxy();
  const listener = await proxy.listener("db:5432");
  const early = dial(listener.tcp.address.port);
  await eventually(() => expect(listener.connections.size).toBe(1));
  expect(listener.protocol()).toBe("unknown");
  proxy.apply(tcpListener("db:5432", CLUSTER));
  expect(listener.protocol()).toBe("tcp");
  proxy.apply(cluster(CLUSTER));
  expect(early.outcome()).toBeUndefined();
  proxy.apply(endpoints(CLUSTER, [{ port: app.port }]));
  await eventually(() => expect(early.outcome()).toBe("end"));
  expect(early.text()).toBe("here");
});

test("a listener changes between HTTP and TCP for connections that come after", async () => {
  const web = await backend((_request, response) => response.end("http"));
  const app = await rawBackend(echo, true);
  const proxy = createProxy();
  proxy.apply(...serviceAt("db:5432", [web.port]));
  const port = await proxy.listen("db:5432");
  expect((await call(port)).body).toBe("http");
  proxy.apply(cluster(CLUSTER), endpoints(CLUSTER, [{ port: app.port }]), tcpListener("db:5432", CLUSTER));
  const caller = dial(port);
  caller.socket.write("bytes");
  await eventually(() => expect(caller.text()).toBe("bytes"));
  proxy.apply(...serviceAt("db:5432", [web.port]));
  expect((await call(port)).body).toBe("http");
  caller.socket.write("!");
  await eventually(() => expect(caller.text()).toBe("bytes!"));
});

test("a service that has gone refuses connections instead of speaking HTTP to them", async () => {
  const app = await rawBackend(echo, true);
  const proxy = createProxy();
  const listener = tcpListener("db:5432", CLUSTER);
  proxy.apply(cluster(CLUSTER), endpoints(CLUSTER, [{ port: app.port }]), listener);
  const port = await proxy.listen("db:5432");
  const open = dial(port);
  open.socket.write("a");
  await eventually(() => expect(open.text()).toBe("a"));
  proxy.apply({ ...listener, bytes: undefined });
  const late = dial(port);
  await eventually(() => expect(late.outcome()).toBe("ECONNRESET"));
  expect(late.text()).toBe("");
  open.socket.write("b");
  await eventually(() => expect(open.text()).toBe("ab"));
});

test("a service that never was refuses what is not HTTP, and tells HTTP so", async () => {
  const proxy = createProxy();
  const listener = tcpListener("db:5432", CLUSTER);
  proxy.apply({ ...listener, bytes: undefined });
  const port = await proxy.listen("db:5432");
  expect((await call(port)).status).toBe(404);
  const talking = dial(port);
  talking.socket.write("*1\r\n$4\r\nPING\r\n");
  await eventually(() => expect(talking.outcome()).toBe("ECONNRESET"));
  const silent = dial(port);
  await eventually(() => expect(silent.outcome()).toBe("ECONNRESET"));
  expect(talking.text() + silent.text()).toBe("");
  const app = await rawBackend((socket) => socket.end("here"));
  proxy.apply(cluster(CLUSTER), endpoints(CLUSTER, [{ port: app.port }]), listener);
  const late = dial(port);
  await eventually(() => expect(late.outcome()).toBe("end"));
  expect(late.text()).toBe("here");
});

test("a session without a byte ends after its idle timeout", async () => {
  const app = await rawBackend(echo, true);
  const proxy = createProxy();
  proxy.apply(
    cluster(CLUSTER),
    endpoints(CLUSTER, [{ port: app.port }]),
    tcpListener("db:5432", CLUSTER, { idleTimeout: ms(100) }),
  );
  const caller = dial(await proxy.listen("db:5432"));
  await eventually(() => expect(caller.outcome()).toBe("ECONNRESET"));
  await eventually(() => expect(proxy.log()[0]).toContain(" 0 - - idle_timeout "));
});

test("plaintext is taken in permissive mode alone and no longer, from servers that speak first too", async () => {
  const permissive = await pair((socket) => socket.write("first"), { permissive: true });
  const caller = dial(permissive.inboundPort);
  await eventually(() => expect(caller.text()).toBe("first"));
  expect(
    metric(permissive.server, "istio_tcp_connections_opened_total", 'connection_security_policy="none"'),
  ).toBe(1);
  expect(permissive.inbound.protocol()).toBe("tcp");
  permissive.server.apply(inboundTcpListener({ sni: SNI, cluster: LOCAL }));
  await eventually(() => expect(caller.outcome()).toBe("ECONNRESET"));
  const strict = await pair(echo);
  const refused = dial(strict.inboundPort);
  refused.socket.write("hello");
  await eventually(() => expect(refused.outcome()).toBeDefined());
  expect(refused.text()).toBe("");
});

test("a drain lets sessions end by themselves, and cuts what is left after its time", async () => {
  const { port, inbound } = await pair(echo);
  const [ending, staying] = [dial(port), dial(port)];
  for (const each of [ending, staying]) each.socket.write("a");
  await eventually(() => expect(ending.text() + staying.text()).toBe("aa"));
  let drained = false;
  inbound.stopAccepting();
  const drain = drainConnections(inbound.connections, 1000, systemClock).then(() => (drained = true));
  ending.socket.write("b");
  await eventually(() => expect(ending.text()).toBe("ab"));
  ending.socket.end();
  await eventually(() => expect(ending.outcome()).toBe("end"));
  expect(drained).toBe(false);
  expect(staying.outcome()).toBeUndefined();
  await drain;
  await eventually(() => expect(staying.outcome()).toBe("ECONNRESET"));
});
