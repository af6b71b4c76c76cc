import type { Server } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { connect } from "node:net";

import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  atEnd,
  backend,
  call,
  closeAll,
  createProxy,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { http2App } from "../../test/http2.js";
import {
  apiListener,
  cluster,
  endpoints,
  ms,
  routes,
  routeTo,
  tcpListener,
  type ClusterOptions,
} from "../../test/resources.js";

// What becomes of an endpoint's connections when the control plane takes it away.

afterEach(closeAll);

const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";
/** Connections wait for ever: what closes them is that the endpoint is gone. */
const FOR_EVER: ClusterOptions = { common: { idleTimeout: ms(0) } };

async function proxyTo(
  ports: readonly number[],
  options: ClusterOptions = FOR_EVER,
): Promise<{ proxy: TestProxy; port: number; now: (...ports: number[]) => void }> {
  const proxy = createProxy();
  const now = (...to: readonly number[]): void =>
    proxy.apply(
      endpoints(
        CLUSTER,
        to.map((port) => ({ port })),
      ),
    );
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined })]),
    cluster(CLUSTER, options),
  );
  now(...ports);
  return { proxy, port: await proxy.listen("reviews:9080"), now };
}

/** An application that answers with its name, `/wait` only when it is told to. */
async function named(name: string): Promise<{
  readonly port: number;
  readonly waiting: (() => void)[];
  readonly open: () => number;
}> {
  const waiting: (() => void)[] = [];
  const { port, server } = await backend((request, response) => {
    if (request.url !== "/wait") response.end(name);
    else {
      // The head alone: the body is what is under way.
      response.write("waited for ");
      waiting.push(() => response.end(name));
    }
  });
  return { port, waiting, open: countOpen(server) };
}

function countOpen(server: Pick<Server, "on">): () => number {
  let open = 0;
  server.on("connection", (socket) => {
    open++;
    socket.on("close", () => open--);
  });
  return () => open;
}

test("an endpoint that is removed finishes what is under way, gets nothing new, and is left by idle connections", async () => {
  const [leaving, staying] = await Promise.all([named("leaving"), named("staying")]);
  const { port, now } = await proxyTo([leaving.port]);
  await Promise.all([call(port), call(port)]);
  const slow = call(port, "/wait");
  await eventually(() => leaving.waiting.length === 1 && leaving.open() === 2);

  now(staying.port);
  for (let i = 0; i < 5; i++) expect((await call(port)).body).toBe("staying");
  // The one that nobody uses goes; the other carries on.
  await eventually(() => leaving.open() === 1);
  leaving.waiting[0]!();
  expect((await slow).body).toBe("waited for leaving");
  await eventually(() => leaving.open() === 0);
  expect(staying.open()).toBe(1);
});

test("an endpoint that is removed and added again gets requests at once, and keeps its connections after", async () => {
  const app = await named("app");
  const { port, now } = await proxyTo([app.port]);
  const slow = call(port, "/wait");
  await eventually(() => app.waiting.length === 1);
  now();
  expect((await call(port)).status).toBe(503);
  now(app.port);
  expect((await call(port)).body).toBe("app");

  now();
  await call(port);
  await eventually(() => app.open() === 1);
  // Its connections have been let go of; only the one under way is left.
  now(app.port);
  expect((await call(port)).body).toBe("app");
  app.waiting[0]!();
  expect((await slow).body).toBe("waited for app");
  // Once the proxy has looked again, connections are kept as usual.
  await eventually(async () => {
    const before = app.open();
    expect((await call(port)).body).toBe("app");
    return before === 1 && app.open() === 1;
  });
});

test("streams on an HTTP/2 connection to a removed endpoint go on until they end, then it is closed", async () => {
  const streams: ServerHttp2Stream[] = [];
  let closed = 0;
  const { port: app, server } = await http2App((stream) => {
    stream.respond({ ":status": 200 });
    stream.write("one ");
    streams.push(stream);
  });
  server.on("session", (session) => session.on("close", () => closed++));
  const { port, now } = await proxyTo([app], { http2: true, ...FOR_EVER });
  const long = call(port);
  await eventually(() => streams.length === 1);
  now();
  const from = performance.now();
  // Well past the time after which idle connections are closed.
  await eventually(() => performance.now() - from > 2500);
  expect(closed).toBe(0);
  streams[0]!.end("two");
  expect((await long).body).toBe("one two");
  await eventually(() => closed === 1);
});

test("an idle HTTP/2 connection to a removed endpoint is closed", async () => {
  let closed = 0;
  const { port: app, server } = await http2App((stream) => {
    stream.respond({ ":status": 200 });
    stream.end();
  });
  server.on("session", (session) => session.on("close", () => closed++));
  const { port, now } = await proxyTo([app], { http2: true, ...FOR_EVER });
  await call(port);
  now();
  await eventually(() => closed === 1);
});

test("a TCP connection to a removed endpoint carries bytes until one of its ends closes it", async () => {
  const { port: app } = await rawBackend((socket) => socket.pipe(socket));
  const proxy = createProxy();
  proxy.apply(tcpListener("db:5432", CLUSTER), cluster(CLUSTER), endpoints(CLUSTER, [{ port: app }]));
  const socket = connect(await proxy.listen("db:5432"), "127.0.0.1");
  atEnd(() => socket.destroy());
  let echoed = "";
  socket.on("data", (chunk: Buffer) => (echoed += chunk.toString()));
  socket.write("before ");
  await eventually(() => echoed === "before ");
  proxy.apply(endpoints(CLUSTER, []));
  const from = performance.now();
  await eventually(() => performance.now() - from > 2000);
  socket.write("after");
  await eventually(() => echoed === "before after");
});
