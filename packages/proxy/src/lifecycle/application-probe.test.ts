import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";

import { FakeClock } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { ApplicationReadiness } from "./application-probe.js";

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const application = (answer: RequestListener): Promise<number> => listening(createServer(answer));

test.each([
  [200, undefined],
  [204, undefined],
  [302, undefined],
  [404, "GET /up?x: 404"],
  [503, "GET /up?x: 503"],
])("an application that answers %i: %s", async (status, problem) => {
  const port = await application((request, response) => {
    response.statusCode = request.url === "/up?x" ? status : 500;
    response.end();
  });
  expect(await new ApplicationReadiness({ port, path: "/up?x" }, new FakeClock()).problem()).toBe(problem);
});

test("without a path a connection is enough", async () => {
  const port = await listening(createTcpServer((socket) => socket.on("error", () => undefined)));
  expect(await new ApplicationReadiness({ port }, new FakeClock()).problem()).toBeUndefined();
  const gone = await application((_request, response) => void response.end());
  servers.pop()?.close();
  expect(await new ApplicationReadiness({ port: gone }, new FakeClock()).problem()).toBe("ECONNREFUSED");
});

test("one that says nothing in time is not ready, and neither is one that speaks no HTTP", async () => {
  const silent = await application(() => undefined);
  const problem = await new ApplicationReadiness({ port: silent, path: "/" }, new FakeClock()).problem();
  expect(problem).toBe("no answer within 1000 ms");
  const other = await listening(
    createTcpServer((socket) => socket.on("error", () => undefined).end("SSH-2.0\r\n")),
  );
  expect(await new ApplicationReadiness({ port: other, path: "/" }, new FakeClock()).problem()).toBeTypeOf(
    "string",
  );
});

test("an answer holds for a second, for everybody who asks", async () => {
  let asked = 0;
  const port = await application((_request, response) => {
    asked++;
    response.end();
  });
  const clock = new FakeClock();
  const readiness = new ApplicationReadiness({ port, path: "/" }, clock);
  await Promise.all(Array.from({ length: 50 }, () => readiness.problem()));
  await clock.advance(999);
  await readiness.problem();
  expect(asked).toBe(1);
  await clock.advance(1);
  await readiness.problem();
  expect(asked).toBe(2);
});
