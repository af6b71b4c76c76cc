import { afterEach, expect, test } from "vitest";

import {
  call,
  closeAll,
  createProxy,
  exchangeBytes,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { serviceAt } from "../../test/resources.js";

// A server behind the proxy that frames its responses wrongly, or answers before it has read the request: whatever it
// sends is one client's answer or nobody's.

afterEach(closeAll);

const OK = "HTTP/1.1 200 OK\r\n";
const POISON = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/** A server that answers the first request with `first` and every other with "clean". */
async function proxyTo(
  first: string,
): Promise<{ proxy: TestProxy; port: number; connections: () => number }> {
  let answered = false;
  const app = await rawBackend((socket) => {
    socket.on("data", (chunk) => {
      // A body that arrives later is no request.
      if (!/^[A-Z]+ \//.test(chunk.toString("latin1"))) return;
      socket.write(answered ? `${OK}Content-Length: 5\r\n\r\nclean` : first, "latin1");
      answered = true;
    });
  });
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [app.port]));
  return { proxy, port: await proxy.listen("reviews:9080"), connections: app.connections };
}

test.each([
  ["H1-04 H1-27 two Content-Length", `${OK}Content-Length: 1\r\nContent-Length: 7\r\n\r\nx${POISON}`],
  ["H1-04 H1-27 a list of Content-Length", `${OK}Content-Length: 1, 1\r\n\r\nx${POISON}`],
  [
    "H1-27 Content-Length and Transfer-Encoding",
    `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["H1-27 status 999", `HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n`],
  ["H1-27 status 099", `HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n`],
  ["H1-27 status 2000", `HTTP/1.1 2000 X\r\nContent-Length: 0\r\n\r\n`],
  ["H1-27 status 20x", `HTTP/1.1 20x X\r\nContent-Length: 0\r\n\r\n`],
  ["H1-27 interim responses without end", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)],
  ["H1-15 bare LF", `HTTP/1.1 200 OK\nContent-Length: 0\n\n`],
  ["H1-16 a folded field", `${OK}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
  ["H1-17 NUL in a value", `${OK}X: a\0b\r\nContent-Length: 0\r\n\r\n`],
])("%s: the answer is 502, and its connection is not used again", async (_name, first) => {
  const { port, connections } = await proxyTo(first);
  const { status, body } = await call(port);
  expect(status).toBe(502);
  expect(body).not.toContain("poison");
  expect((await call(port)).body).toBe("clean");
  expect(connections()).toBe(2);
});

test.each([
  ["H1-27 bytes behind the body", "GET", `${OK}Content-Length: 1\r\n\r\nx${POISON}`, 200, "x"],
  [
    "H1-27 a body behind 204",
    "GET",
    `HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n${POISON}`,
    204,
    "",
  ],
  [
    "H1-27 a body behind 304",
    "GET",
    `HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n${POISON}`,
    304,
    "",
  ],
  ["H1-27 a body for HEAD", "HEAD", `${OK}Content-Length: 6\r\n\r\n${POISON}`, 200, ""],
])("%s reach nobody", async (_name, method, first, status, body) => {
  const { port, connections } = await proxyTo(first);
  // A server that breaks the framing within its answer may cost its own client that answer, and nobody else anything.
  const answer = await call(port, "/", { method }).catch(() => undefined);
  if (answer?.status !== 502) expect([undefined, body]).toContain(answer?.body);
  if (answer !== undefined) expect([status, 502]).toContain(answer.status);
  expect((await call(port)).body).toBe("clean");
  expect(connections()).toBe(2);
});

test("H1-27 framing fields of an interim response mean nothing", async () => {
  const { port } = await proxyTo(
    `HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
  );
  expect((await call(port)).body).toBe("ok");
  expect((await call(port)).body).toBe("clean");
});

test("H1-27 a status line without a reason is fine", async () => {
  const { port } = await proxyTo("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok");
  expect((await call(port)).body).toBe("ok");
});

test.each([
  ["H1-07 0.CL", "Content-Length: 100\r\n", "0123456789", 200],
  [
    "H1-08 Expect that is answered with 200 unread",
    "Expect: 100-continue\r\nContent-Length: 100\r\n",
    "",
    200,
  ],
  [
    "H1-08 Expect that is answered with 417 unread",
    "Expect: 100-continue\r\nContent-Length: 100\r\n",
    "",
    417,
  ],
  [
    "H1-09 a body that the application finds too large",
    "Content-Length: 100000000000\r\n",
    "0123456789",
    413,
  ],
])(
  "%s: neither connection is used again after an answer that comes before the request's end",
  async (_name, fields, body, status) => {
    const { port, connections } = await proxyTo(`HTTP/1.1 ${status} X\r\nContent-Length: 2\r\n\r\nno`);
    const answer = await exchangeBytes(port, `POST /first HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`);
    // It resolved because the proxy closed.
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*no$`));
    expect((await call(port, "/second")).body).toBe("clean");
    expect(connections()).toBe(2);
  },
);
