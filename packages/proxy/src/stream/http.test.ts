import { createHash, randomBytes } from "node:crypto";
import { Agent, request } from "node:http";

import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  createProxy,
  exchangeBytes,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { apiListener, cluster, endpoints, ms, routes, routeTo, serviceAt } from "../../test/resources.js";

afterEach(closeAll);

async function proxyTo(
  ports: readonly number[],
  action: Record<string, unknown> = {},
): Promise<{ proxy: TestProxy; port: number }> {
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", ports, action));
  return { proxy, port: await proxy.listen("reviews:9080") };
}

test("an upstream listener carries a GET to an endpoint and its answer back", async () => {
  const { port: app } = await backend((request, response) => {
    response.setHeader("X-Custom-Case", "kept");
    response.end(`${request.method} ${request.url} ${request.headers.host}`);
  });
  const { port } = await proxyTo([app]);
  const answer = await call(port, "/a?b=c");
  expect(answer.status).toBe(200);
  expect(answer.body).toBe("GET /a?b=c reviews:9080");
  expect(answer.rawHeaders).toContain("X-Custom-Case");
});

test("the upstream sees field names as the client spelt them, and the proxy's own fields once", async () => {
  const { port: app } = await backend((request, response) =>
    response.end(JSON.stringify(request.rawHeaders)),
  );
  const { port } = await proxyTo([app]);
  const answer = await call(port, "/", {
    headers: {
      "X-MiXeD": "1",
      "X-Envoy-Attempt-Count": "9",
      "x-forwarded-client-cert": "forged",
      "X-Envoy-Peer-Metadata": "forged",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      Connection: "keep-alive, X-Hop",
      "X-Hop": "gone",
      "Keep-Alive": "timeout=9",
    },
  });
  const raw = JSON.parse(answer.body) as string[];
  expect(raw).toContain("X-MiXeD");
  expect(raw.join(" ")).not.toContain("forged");
  expect(raw.join(" ").toLowerCase()).not.toContain("x-hop");
  const fields = new Map<string, string>();
  for (let i = 0; i < raw.length; i += 2) fields.set(raw[i]!.toLowerCase(), raw[i + 1]!);
  expect(fields.get("x-envoy-attempt-count")).toBe("1");
  expect(fields.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(fields.get("x-forwarded-proto")).toBe("http");
  expect(fields.get("traceparent")).toBe("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  expect(fields.has("keep-alive")).toBe(false);
});

test("a request id that the client sent is kept", async () => {
  const { port: app } = await backend((request, response) => response.end(request.headers["x-request-id"]));
  const { port } = await proxyTo([app]);
  expect((await call(port, "/", { headers: { "x-request-id": "mine" } })).body).toBe("mine");
});

test("bodies pass unchanged with Content-Length and with chunks, trailers included", async () => {
  const { port: app } = await backend((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      response.setHeader("trailer", "x-sum");
      response.write(Buffer.concat(chunks));
      response.addTrailers({
        "x-sum": String(request.trailers["x-in"] ?? request.headers["content-length"]),
      });
      response.end();
    });
  });
  const { port } = await proxyTo([app]);
  const sized = await call(port, "/", { method: "POST", headers: { "content-length": "5" }, body: "hello" });
  expect(sized.body).toBe("hello");
  expect(sized.trailers["x-sum"]).toBe("5");
  const received = await exchangeBytes(
    port,
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-in: t\r\n\r\n",
    (text) => text.endsWith("\r\n\r\n") && text.includes("x-sum"),
  );
  expect(received).toContain("x-sum: t");
  expect(received).toContain("abcdefg");
});

test("H1-28 a large body waits for a slow reader instead of filling the proxy, and arrives whole", async () => {
  const megabyte = randomBytes(1024 * 1024);
  const total = 64;
  let release: () => void = () => undefined;
  const { port: app } = await backend((request, response) => {
    request.pause();
    release = () => request.pipe(response);
  });
  const { port } = await proxyTo([app]);
  const wanted = createHash("sha256");
  for (let i = 0; i < total; i++) wanted.update(megabyte);
  const received = createHash("sha256");
  let sent = 0;
  const done = new Promise<void>((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method: "POST", agent: false }, (response) => {
      response.on("data", (chunk: Buffer) => received.update(chunk));
      response.on("end", resolve);
    });
    outgoing.on("error", reject);
    const pump = (): void => {
      while (sent < total) {
        sent++;
        if (!outgoing.write(megabyte)) {
          outgoing.once("drain", pump);
          return;
        }
      }
      outgoing.end();
    };
    pump();
  });
  let before = -1;
  await eventually(async () => {
    const stalled = sent > 0 && sent === before;
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 60));
    return stalled;
  });
  // What the kernel holds on two hops, and 64 KiB of ours for each.
  expect(sent).toBeLessThan(32);
  release();
  await done;
  expect(received.digest("hex")).toBe(wanted.digest("hex"));
});

test("one client connection and one upstream connection serve many requests", async () => {
  let clients = 0;
  const { port: app, server } = await backend((_request, response) => response.end("ok"));
  server.on("connection", () => clients++);
  const { port } = await proxyTo([app]);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 20; i++) expect((await call(port, "/", { agent })).body).toBe("ok");
  agent.destroy();
  expect(clients).toBe(1);
});

test("pipelined requests are answered in order", async () => {
  const { port: app } = await backend((request, response) => {
    setTimeout(() => response.end(`<${request.url}>`), request.url === "/1" ? 30 : 0);
  });
  const { port } = await proxyTo([app]);
  const pipelined = [1, 2, 3, 4].map((i) => `GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`).join("");
  const received = await exchangeBytes(port, pipelined, (text) => text.includes("</4>"));
  expect(received.match(/<\/\d>/g)).toEqual(["</1>", "</2>", "</3>", "</4>"]);
});

test("a hundred pipelined requests that find no route are answered in one go", async () => {
  const proxy = createProxy();
  proxy.apply(apiListener("reviews:9080", "r"), routes("r", []));
  const port = await proxy.listen("reviews:9080");
  const one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  const last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const received = await exchangeBytes(port, one.repeat(99) + last);
  expect(received.match(/HTTP\/1\.1 404/g)).toHaveLength(100);
});

test("HEAD, 204 and 304 have no body, whatever their fields say", async () => {
  const { port: app } = await backend((request, response) => {
    if (request.url === "/204") response.writeHead(204).end();
    else if (request.url === "/304") response.writeHead(304, { etag: '"x"', "content-length": "7" }).end();
    else response.writeHead(200, { "content-length": "7" }).end(request.method === "HEAD" ? "" : "content");
  });
  const { port } = await proxyTo([app]);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const head = await call(port, "/", { method: "HEAD", agent });
  expect(head.status).toBe(200);
  expect(head.headers["content-length"]).toBe("7");
  expect(head.body).toBe("");
  expect((await call(port, "/204", { agent })).status).toBe(204);
  const notModified = await call(port, "/304", { agent });
  expect(notModified.status).toBe(304);
  expect(notModified.headers["content-length"]).toBe("7");
  expect((await call(port, "/", { agent })).body).toBe("content");
  agent.destroy();
});

test("a response that ends with its connection is passed on in chunks", async () => {
  const { port: app } = await rawBackend((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it"));
  });
  const { port } = await proxyTo([app]);
  const answer = await call(port);
  expect(answer.body).toBe("all of it");
  expect(answer.headers["transfer-encoding"]).toBe("chunked");
});

test("an HTTP/1.0 client gets an unchunked answer and the end of the connection", async () => {
  const { port: app } = await backend((_request, response) => {
    response.write("part");
    response.end("s");
  });
  const { port } = await proxyTo([app]);
  const received = await exchangeBytes(port, "GET / HTTP/1.0\r\n\r\n");
  expect(received).toContain("connection: close");
  expect(received.toLowerCase()).not.toContain("transfer-encoding");
  expect(received.endsWith("\r\n\r\nparts")).toBe(true);
});

test("Expect: 100-continue reaches the server and its 100 the client", async () => {
  const { port: app, server } = await backend(() => undefined);
  server.on("checkContinue", (request, response) => {
    response.writeContinue();
    request.resume();
    request.on("end", () => response.end("thanks"));
  });
  const { port } = await proxyTo([app]);
  let continued = 0;
  const body = await new Promise<string>((resolve, reject) => {
    const outgoing = request(
      {
        host: "127.0.0.1",
        port,
        method: "POST",
        agent: false,
        headers: { expect: "100-continue", "content-length": "4" },
      },
      (response) => {
        response.setEncoding("utf8");
        response.on("data", resolve);
      },
    );
    outgoing.on("continue", () => {
      continued++;
      outgoing.end("body");
    });
    outgoing.on("error", reject);
    outgoing.flushHeaders();
  });
  expect(body).toBe("thanks");
  expect(continued).toBe(1);
});

test("an early answer reaches the client, and neither connection is used again", async () => {
  const { port: app, connections } = await rawBackend((socket) => {
    socket.once("data", () => socket.write("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno"));
  });
  const { port } = await proxyTo([app]);
  const received = await exchangeBytes(
    port,
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0123456789",
  );
  expect(received).toContain("413");
  expect(received.endsWith("no")).toBe(true);
  await call(port);
  expect(connections()).toBe(2);
});

test("malformed requests are refused, and the connection is closed", async () => {
  const { port: app, server } = await backend((_request, response) => response.end("reached"));
  let reached = 0;
  server.on("request", () => reached++);
  const { port } = await proxyTo([app]);
  const cases: readonly (readonly [string, number])[] = [
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
    ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400],
    ["GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(70_000)}\r\n\r\n`, 431],
  ];
  for (const [bytes, status] of cases) {
    const received = await exchangeBytes(port, bytes);
    expect(received.startsWith(`HTTP/1.1 ${status}`)).toBe(true);
    expect(received).toContain("connection: close");
  }
  expect(reached).toBe(0);
});

test("a body that turns out malformed is answered with 400 and reaches no second request", async () => {
  const { port: app } = await rawBackend((socket) => socket.resume());
  const { port, proxy } = await proxyTo([app]);
  const received = await exchangeBytes(
    port,
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX\r\n",
  );
  expect(received.startsWith("HTTP/1.1 400")).toBe(true);
  expect(proxy.log()[0]).toContain(" DPE http1.");
});

test("CONNECT is refused with 501 where it would be of no use", async () => {
  const { port } = await proxyTo([1]);
  const connect = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n";
  expect(await exchangeBytes(port, connect)).toMatch(/^HTTP\/1\.1 501/);
});

test("a response cut by its server is cut for the client, not completed", async () => {
  const { port: app } = await rawBackend((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
      setTimeout(() => socket.destroy(), 20);
    });
  });
  const { port, proxy } = await proxyTo([app]);
  await expect(call(port)).rejects.toThrow(/aborted|ECONNRESET|socket hang up/);
  await eventually(() =>
    proxy
      .log()
      .some((line) => line.includes(" 200 UC upstream_reset_after_response_started{connection_termination}")),
  );
});

test("an invalid response becomes 502 with flag UPE", async () => {
  const { port: app } = await rawBackend((socket) => {
    socket.once("data", () => socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
  });
  const { port, proxy } = await proxyTo([app]);
  const answer = await call(port);
  expect(answer.status).toBe(502);
  expect(answer.body).toContain("invalid HTTP response");
  expect(proxy.log()[0]).toContain(" 502 UPE ");
});

test("the upstream request ends when its client goes away", async () => {
  let closed = false;
  const { port: app } = await rawBackend((socket) => {
    socket.resume();
    socket.on("close", () => {
      closed = true;
    });
  });
  const { port, proxy } = await proxyTo([app]);
  const gone = call(port, "/", { timeout: 50 });
  const outgoing = request({ host: "127.0.0.1", port, agent: false });
  outgoing.on("error", () => undefined);
  outgoing.end();
  await eventually(() => /envoy_cluster_upstream_cx_active\{[^}]*\} 2/.test(proxy.metricsText()));
  outgoing.destroy();
  await eventually(() => closed);
  await eventually(() => proxy.log().some((line) => line.includes(" 0 DC downstream_remote_disconnect")));
  gone.catch(() => undefined);
});

test("H1-27 bytes on an idle pooled connection end it and reach nobody", async () => {
  const { port: app } = await rawBackend((socket, index) => {
    socket.on("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${index}`);
      if (index === 0)
        setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"), 20);
    });
  });
  const { port, proxy } = await proxyTo([app]);
  expect((await call(port)).body).toBe("0");
  await eventually(() =>
    proxy
      .metricsText()
      .includes('upstream_cx_active{cluster_name="outbound|9080||reviews.default.svc.cluster.local"} 0'),
  );
  expect((await call(port)).body).toBe("1");
});

test("the route's timeout ends a request with 504 and flag UT", async () => {
  const { port: app } = await rawBackend((socket) => socket.resume());
  const { port, proxy } = await proxyTo([app], { timeout: ms(60) });
  const answer = await call(port);
  expect(answer.status).toBe(504);
  expect(answer.body).toContain("60 ms");
  expect(proxy.log()[0]).toContain(" 504 UT response_timeout ");
});

test("a listener without an authority routes by Host and by absolute target", async () => {
  const { port: app } = await backend((request, response) =>
    response.end(`${request.headers.host}${request.url}`),
  );
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [app]));
  const port = await proxy.listen("");
  expect((await call(port, "/a", { headers: { host: "Reviews:9080" } })).body).toBe("Reviews:9080/a");
  const absolute = "GET http://reviews:9080/b HTTP/1.1\r\nHost: ignored\r\nConnection: close\r\n\r\n";
  expect(await exchangeBytes(port, absolute)).toContain("reviews:9080/b");
});

test("a listener without an authority refuses requests to itself", async () => {
  const proxy = createProxy();
  const port = await proxy.listen("");
  const answer = await call(port);
  expect(answer.status).toBe(508);
  expect(answer.body).toContain("name the service in Host");
});

test("a request waits for its configuration and goes on when it arrives", async () => {
  const { port: app } = await backend((request, response) => request.pipe(response));
  const proxy = createProxy();
  const port = await proxy.listen("");
  const answer = call(port, "/", {
    method: "POST",
    headers: { host: "reviews:9080" },
    body: "kept while waiting",
  });
  await eventually(() => proxy.demanded.includes("reviews:9080"));
  const [first, second, ...rest] = serviceAt("reviews:9080", [app]);
  proxy.apply(...rest);
  expect(proxy.metricsText()).toContain("tulle_parked_requests 1");
  proxy.apply(first!, second!);
  expect((await answer).body).toBe("kept while waiting");
});

test("a service that does not exist is answered with 404 and flag NR", async () => {
  const proxy = createProxy();
  const [listener] = [apiListener("nowhere:80", "r")];
  proxy.apply({ ...listener, bytes: undefined });
  const port = await proxy.listen("nowhere:80");
  const answer = await call(port);
  expect(answer.status).toBe(404);
  expect(answer.body).toContain("the mesh knows no HTTP service nowhere:80");
  expect(proxy.log()[0]).toContain(" 404 NR route_not_found ");
});

test("no healthy endpoint is answered with 503 and flag UH", async () => {
  const { port, proxy } = await proxyTo([]);
  const answer = await call(port);
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("no healthy instance of outbound|9080||reviews.default.svc.cluster.local");
  expect(proxy.log()[0]).toContain(" 503 UH no_healthy_upstream ");
});

test("circuit breakers refuse with 503 and flag UO", async () => {
  const { port: app } = await rawBackend((socket) => socket.resume());
  const proxy = createProxy();
  const name = "outbound|9080||reviews.default.svc.cluster.local";
  proxy.apply(
    cluster(name, { thresholds: { maxConnections: 1, maxPendingRequests: 1 } }),
    endpoints(name, [{ port: app }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(name, { timeout: ms(300) })]),
  );
  const port = await proxy.listen("reviews:9080");
  const answers = await Promise.all([call(port), call(port), call(port), call(port)]);
  const refused = answers.filter(({ status }) => status === 503);
  expect(refused.length).toBeGreaterThanOrEqual(2);
  expect(answers.length - refused.length).toBe(answers.filter(({ status }) => status === 504).length);
  expect(proxy.log().filter((line) => line.includes(" 503 UO "))).toHaveLength(refused.length);
});
