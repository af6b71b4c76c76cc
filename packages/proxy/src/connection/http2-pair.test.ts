import { request as httpRequest, type IncomingMessage } from "node:http";

import { systemClock } from "@tulle/base";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import { call, closeAll, exchangeBytes, rawBackend } from "../../test/harness.js";
import { startPair, type Pair, type PairOptions } from "../../test/pair.js";
import { drainConnections } from "../lifecycle/drain.js";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

const pair = (options: PairOptions = {}): Promise<Pair> => startPair(authority, options);

function metric(text: string, name: string): number {
  let sum = 0;
  for (const line of text.split("\n")) {
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) sum += Number(line.split(" ").at(-1));
  }
  return sum;
}

/** Waits until `value` has not changed for a while. */
function settles(value: () => number): Promise<unknown> {
  let last = value();
  let since = performance.now();
  return eventually(() => {
    if (value() !== last) {
      last = value();
      since = performance.now();
    }
    return performance.now() - since > 250;
  });
}

const connectionsMade = ({ client }: Pair): number =>
  metric(client.metricsText(), "envoy_cluster_upstream_cx_total");

test("two sidecars carry many exchanges at once on one HTTP/2 connection", async () => {
  const made = await pair({ app: (request, response) => request.pipe(response) });
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => call(made.port, "/", { method: "POST", body: `body ${i}` })),
  );
  expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, i) => `body ${i}`));
  expect(connectionsMade(made)).toBe(1);
  expect(made.server.log()[0]).toContain("HTTP/2");
  expect(made.client.log()[0]).toContain("HTTP/1.1");
});

test("a sidecar that offers HTTP/1.1 only is served with it", async () => {
  const made = await pair({ alpn: ["http/1.1"], app: (request, response) => request.pipe(response) });
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, i) => call(made.port, "/", { method: "POST", body: `body ${i}` })),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(made.server.log()[0]).not.toContain("HTTP/2");
});

test("names keep their spelling through two sidecars, in both directions", async () => {
  let seen = "";
  const app = await rawBackend((socket) => {
    socket.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes("\r\n\r\n"))
        socket.write("HTTP/1.1 200 OK\r\nETag: x\r\nX-lower-UPPER: y\r\nContent-Length: 0\r\n\r\n");
    });
  });
  const { port } = await pair({ appPort: app.port });
  const answer = await exchangeBytes(
    port,
    "GET / HTTP/1.1\r\nHOST: reviews:9080\r\nX-B3-TraceId: 1\r\nuser-agent: me\r\nx-tulle-header-case: l,eVIL\r\n\r\n",
    (received) => received.includes("\r\n\r\n"),
  );
  expect(seen).toContain("\r\nHOST: reviews:9080\r\nX-B3-TraceId: 1\r\nuser-agent: me\r\n");
  expect(seen).not.toContain("x-tulle-header-case");
  expect(answer).toContain("\r\nETag: x\r\nX-lower-UPPER: y\r\nContent-Length: 0\r\n");
  expect(answer).not.toContain("x-tulle-header-case");
});

test("framing survives HTTP/2: chunked with trailers, HEAD, 204, 304 and an empty body", async () => {
  const { port } = await pair({
    app: (request, response) => {
      switch (request.url) {
        case "/chunked": {
          const trailers: string[] = [];
          request.on("end", () => {
            trailers.push(...request.rawTrailers);
            response.writeHead(200, { Trailer: "X-Sum" });
            response.write("part one,");
            response.write(trailers.join("="));
            response.addTrailers({ "X-Sum": "42" });
            response.end();
          });
          request.resume();
          return;
        }
        case "/head":
          response.writeHead(200, { "Content-Length": "1234" }).end();
          return;
        case "/204":
          response.writeHead(204).end();
          return;
        case "/304":
          response.writeHead(304, { "Content-Length": "99" }).end();
          return;
        default:
          response.writeHead(200, { "Content-Length": "0" }).end();
      }
    },
  });
  const chunked = await exchangeBytes(
    port,
    "POST /chunked HTTP/1.1\r\nHost: a\r\nTrailer: X-In\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-In: 7\r\n\r\n",
    (received) => received.endsWith("\r\n\r\n") && received.includes("X-Sum: 42"),
  );
  expect(chunked.toLowerCase()).toContain("x-in=7");
  expect((await call(port, "/head", { method: "HEAD" })).headers["content-length"]).toBe("1234");
  expect((await call(port, "/204")).status).toBe(204);
  expect((await call(port, "/304")).status).toBe(304);
  expect((await call(port, "/empty")).headers["content-length"]).toBe("0");
});

test("interim responses pass: 100 (Continue) and 103", async () => {
  const { port } = await pair({
    app: (request, response) => {
      response.writeEarlyHints({ link: "</a.css>; rel=preload" });
      request.pipe(response);
    },
  });
  const answer = await exchangeBytes(
    port,
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    (received) => received.includes("abc"),
  );
  expect(answer).toMatch(/^HTTP\/1\.1 100 Continue/);
  expect(answer).toContain("HTTP/1.1 103 Early Hints\r\n");
});

test("a client that reads nothing stops the application, through both sidecars, and memory stays bounded", async () => {
  let written = 0;
  let closed = false;
  const { port } = await pair({
    app: (_request, response) => {
      const chunk = Buffer.alloc(65_536, 1);
      const more = (): void => {
        let room = true;
        while (room) {
          room = response.write(chunk);
          written += chunk.length;
        }
      };
      response.on("drain", more);
      response.on("close", () => {
        closed = true;
      });
      more();
    },
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ host: "127.0.0.1", port, agent: false }, resolve).on("error", reject).end();
  });
  response.pause();
  await settles(() => written);
  // Kernel buffers of four sockets and a window or two; a proxy that did not stop would take all there is.
  expect(written).toBeLessThan(32 * 1024 * 1024);
  let received = 0;
  response.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  response.resume();
  const target = written + 8 * 1024 * 1024;
  await eventually(() => received > target);
  // And its leaving ends the work of the application.
  response.on("error", () => undefined);
  response.destroy();
  await eventually(() => closed);
});

test("an application that reads nothing stops the uploading client", async () => {
  const app = await rawBackend((socket) => {
    socket.pause();
  });
  const { port } = await pair({ appPort: app.port });
  let written = 0;
  const upload = httpRequest({ host: "127.0.0.1", port, method: "POST", agent: false });
  upload.on("error", () => undefined);
  const chunk = Buffer.alloc(65_536, 1);
  const more = (): void => {
    while (upload.write(chunk)) written += chunk.length;
    written += chunk.length;
  };
  upload.on("drain", more);
  more();
  await settles(() => written);
  expect(written).toBeLessThan(32 * 1024 * 1024);
  upload.destroy();
});

test("a client that leaves cancels its stream only", async () => {
  const gone: string[] = [];
  let release: (() => void) | undefined;
  const made = await pair({
    app: (request, response) => {
      if (request.url === "/slow") release = () => response.end("finished");
      response.on("close", () => {
        if (!response.writableFinished) gone.push(request.url ?? "");
      });
    },
  });
  const slow = call(made.port, "/slow");
  await eventually(() => release);
  const leaving = httpRequest({ host: "127.0.0.1", port: made.port, path: "/leaves", agent: false });
  leaving.on("error", () => undefined);
  leaving.end();
  await eventually(() => metric(made.server.metricsText(), "envoy_cluster_upstream_rq_total") === 2);
  leaving.destroy();
  await eventually(() => gone.includes("/leaves"));
  release?.();
  expect((await slow).body).toBe("finished");
  expect(connectionsMade(made)).toBe(1);
});

test("a response that the application cuts is cut for the client, and the connection lives on", async () => {
  const made = await pair({
    app: (request, response) => {
      if (request.url === "/cut") {
        response.write("half");
        setImmediate(() => request.socket.destroy());
      } else response.end("whole");
    },
  });
  await expect(call(made.port, "/cut")).rejects.toThrow(/aborted|socket hang up|ECONNRESET/);
  expect((await call(made.port, "/")).body).toBe("whole");
  expect(connectionsMade(made)).toBe(1);
});

test("a drain with GOAWAY lets every exchange finish and moves new ones to another instance", async () => {
  const releases: (() => void)[] = [];
  const made = await pair({
    app: (request, response) => {
      if (request.url === "/slow") releases.push(() => response.end("finished"));
      else response.end("quick");
    },
  });
  const slow = Array.from({ length: 10 }, () => call(made.port, "/slow"));
  await eventually(() => releases.length === 10);
  let drained = false;
  const draining = drainConnections(made.inbound.connections, 5000, systemClock).then(() => {
    drained = true;
  });
  // The listener still takes connections: only the old one is given up.
  await eventually(async () => {
    expect((await call(made.port, "/quick")).body).toBe("quick");
    return connectionsMade(made) === 2;
  });
  expect(drained).toBe(false);
  for (const release of releases) release();
  for (const answer of await Promise.all(slow)) expect(answer.body).toBe("finished");
  await draining;
});

test("an answer before the end of an upload reaches the client and stops the upload", async () => {
  const made = await pair({
    app: (_request, response) => response.writeHead(413, { connection: "close" }).end("too large"),
  });
  const status = await new Promise<number>((resolve, reject) => {
    const upload = httpRequest(
      { host: "127.0.0.1", port: made.port, method: "POST", agent: false },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    upload.on("error", reject);
    upload.write("begin");
  });
  expect(status).toBe(413);
  expect((await call(made.port, "/")).status).toBe(413);
  expect(connectionsMade(made)).toBe(1);
});

test("the largest head that HTTP/1.1 lets in passes, in many fields and in one", async () => {
  const app = await rawBackend((socket) => {
    let head = "";
    socket.on("data", (chunk: Buffer) => {
      head += chunk.toString();
      if (!head.endsWith("\r\n\r\n")) return;
      const body = String(head.split("~").length - 1);
      head = "";
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  const { port } = await pair({ appPort: app.port });
  const many = Object.fromEntries(Array.from({ length: 96 }, (_, i) => [`x-${i}`, "~".repeat(620)]));
  expect(await call(port, "/", { headers: many })).toMatchObject({ status: 200, body: String(96 * 620) });
  const one = { "x-one": "~".repeat(60_000) };
  expect(await call(port, "/", { headers: one })).toMatchObject({ status: 200, body: "60000" });
});

test("callers that all give up at once do not end the connection", async () => {
  const arrived: (() => void)[] = [];
  let closedByCaller = 0;
  const made = await pair({
    app: (_request, response) => {
      arrived.push(() => response.end("late"));
      response.on("close", () => {
        if (!response.writableFinished) closedByCaller++;
      });
    },
  });
  const last = call(made.port, "/patient");
  await eventually(() => arrived.length === 1);
  const leaving = Array.from({ length: 300 }, () =>
    httpRequest({ host: "127.0.0.1", port: made.port, agent: false }).on("error", () => undefined),
  );
  for (const request of leaving) request.end();
  await eventually(() => arrived.length === 301);
  for (const request of leaving) request.destroy();
  await eventually(() => closedByCaller === 300);
  arrived[0]?.();
  expect((await last).body).toBe("late");
  expect(connectionsMade(made)).toBe(1);
});
