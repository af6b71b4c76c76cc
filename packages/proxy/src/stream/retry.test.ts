import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  closedPort,
  createProxy,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import {
  apiListener,
  cluster,
  DEFAULT_RETRIES,
  endpoints,
  ms,
  routes,
  routeTo,
  serviceAt,
} from "../../test/resources.js";

afterEach(closeAll);

async function proxyTo(
  ports: readonly number[],
  action: Record<string, unknown> = {},
): Promise<{ proxy: TestProxy; port: number }> {
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", ports, action));
  return { proxy, port: await proxy.listen("reviews:9080") };
}

test("a failed connection is tried again on another endpoint, for POST too, with its body", async () => {
  const dead = await closedPort();
  const { port: app } = await backend((request, response) => {
    response.setHeader("x-attempt", request.headers["x-envoy-attempt-count"] ?? "");
    request.pipe(response);
  });
  const { port } = await proxyTo([dead, app]);
  const attempts = new Set<unknown>();
  for (let i = 0; i < 20; i++) {
    const answer = await call(port, "/", { method: "POST", body: `body ${i}` });
    expect(answer.status).toBe(200);
    expect(answer.body).toBe(`body ${i}`);
    attempts.add(answer.headers["x-attempt"]);
  }
  expect(attempts).toContain("2");
});

test("a service of which no endpoint listens is answered with 503, flags URX,UF and the reason", async () => {
  const { port, proxy } = await proxyTo([await closedPort()]);
  const answer = await call(port);
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("ECONNREFUSED");
  expect(answer.body).toContain("after 3 tries");
  const [line] = proxy.log();
  expect(line).toContain(
    " 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|ECONNREFUSED} ",
  );
});

test("a GET on a pooled connection that its server just closed is repeated unseen", async () => {
  const { port: app, connections } = await rawBackend((socket, index) => {
    let requests = 0;
    socket.on("data", () => {
      if (++requests === 2 && index === 0) socket.destroy();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const { port } = await proxyTo([app]);
  expect((await call(port)).body).toBe("ok");
  expect((await call(port)).body).toBe("ok");
  expect(connections()).toBe(2);
});

test("a POST is not repeated once its bytes have left", async () => {
  let requests = 0;
  const { port: app } = await rawBackend((socket) => {
    socket.once("data", () => {
      requests++;
      socket.destroy();
    });
  });
  const { port, proxy } = await proxyTo([app]);
  const answer = await call(port, "/", { method: "POST", body: "once" });
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("closed the connection before it answered");
  expect(requests).toBe(1);
  expect(proxy.log()[0]).toContain(" 503 UC upstream_reset_before_response_started{connection_termination} ");
});

test("a GET is repeated when its connection breaks before the answer", async () => {
  let requests = 0;
  const { port: app } = await rawBackend((socket) => {
    socket.once("data", () => {
      if (++requests === 1) socket.destroy();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const { port } = await proxyTo([app]);
  expect((await call(port)).body).toBe("ok");
  expect(requests).toBe(2);
});

test("an answer with a status that the route names is thrown away and the request repeated", async () => {
  let requests = 0;
  const { port: app } = await backend((request, response) => {
    request.resume();
    response.statusCode = ++requests < 3 ? 503 : 200;
    response.end(`try ${requests}`);
  });
  const { port } = await proxyTo([app], { retryPolicy: { ...DEFAULT_RETRIES, retriableStatusCodes: [503] } });
  const answer = await call(port, "/", { method: "POST", body: "x" });
  expect(answer.status).toBe(200);
  expect(answer.body).toBe("try 3");
});

test("no request is repeated when the route has no retry policy", async () => {
  const { port, proxy } = await proxyTo([await closedPort()], { retryPolicy: undefined });
  expect((await call(port)).status).toBe(503);
  expect(proxy.log()[0]).toContain(" 503 UF ");
});

test("a try that takes too long is given up and another endpoint asked", async () => {
  const { port: slow } = await rawBackend((socket) => socket.resume());
  const { port: fast } = await backend((_request, response) => response.end("fast"));
  const retryPolicy = { ...DEFAULT_RETRIES, retryOn: "5xx", numRetries: 5, perTryTimeout: ms(40) };
  const { port } = await proxyTo([slow, fast], { retryPolicy });
  for (let i = 0; i < 6; i++) expect((await call(port)).body).toBe("fast");
});

test("tries that all take too long end with 504", async () => {
  const { port: slow } = await rawBackend((socket) => socket.resume());
  const retryPolicy = { ...DEFAULT_RETRIES, retryOn: "5xx", numRetries: 1, perTryTimeout: ms(30) };
  const { port, proxy } = await proxyTo([slow], { retryPolicy });
  const answer = await call(port);
  expect(answer.status).toBe(504);
  expect(proxy.log()[0]).toContain(" 504 URX,UT upstream_per_try_timeout ");
});

test("a body of more than 64 KiB is not kept for another try", async () => {
  let requests = 0;
  const { port: app } = await rawBackend((socket) => {
    requests++;
    let received = 0;
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received > 200_000) socket.destroy();
    });
  });
  const { port } = await proxyTo([app]);
  const answer = await call(port, "/", { method: "PUT", body: Buffer.alloc(300_000) });
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("not tried again, as its body is larger than what is kept of one");
  expect(requests).toBe(1);
});

test("the load table is empty again after successes, failures, retries and cancellations", async () => {
  const { port: app } = await backend((request, response) => {
    if (request.url === "/hang") return;
    if (request.url === "/break") request.socket.destroy();
    else response.end("ok");
  });
  const { port, proxy } = await proxyTo([app, await closedPort()]);
  await Promise.all(Array.from({ length: 20 }, (_, i) => call(port, i % 3 === 0 ? "/break" : "/")));
  const hanging = call(port, "/hang", { timeout: 1 }).catch(() => undefined);
  const { connections } = await proxy.listener("x");
  connections.destroy();
  await closeAll();
  await hanging;
  await eventually(() =>
    Array.from({ length: 8 }, (_, slot) => proxy.load.inFlight(slot)).every((count) => count === 0),
  );
});

test("who is turned away by a circuit breaker is told so, for sidecars that would try again", async () => {
  const { port: app } = await backend((_request, response) => response.end());
  const proxy = createProxy();
  proxy.apply(
    cluster("c", { thresholds: { maxRequests: 0 } }),
    endpoints("c", [{ port: app }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo("c")]),
  );
  const answer = await call(await proxy.listen("reviews:9080"));
  expect([answer.status, answer.headers["x-envoy-overloaded"]]).toEqual([503, "true"]);
});
