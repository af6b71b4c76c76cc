import { createTestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import { backend, call, closeAll, rawBackend, type TestProxy } from "../../test/harness.js";
import { startPair } from "../../test/pair.js";
import { apiListener, cluster, DEFAULT_RETRIES, endpoints, routes, routeTo } from "../../test/resources.js";

let authority: Awaited<ReturnType<typeof createTestAuthority>>;

beforeAll(async () => {
  authority = await createTestAuthority();
});

afterEach(closeAll);

const RETRY_503 = { ...DEFAULT_RETRIES, retryOn: "503", numRetries: 2 };

/** A calls B, whose application calls C, which fails. Both hops try three times. */
async function chain(
  passesRequestId: boolean,
): Promise<{ port: number; calls: () => number; client: TestProxy; answers: (status: number) => void }> {
  let calls = 0;
  let status = 503;
  const { port: failing } = await backend((_request, response) => {
    calls++;
    response.statusCode = status;
    response.end("c");
  });
  let outbound = 0;
  const { port: app } = await backend((request, response) => {
    const id = request.headers["x-request-id"] as string;
    const headers = passesRequestId ? { "x-request-id": id } : {};
    void call(outbound, "/", { headers }).then((answer) => {
      response.statusCode = answer.status;
      response.end(answer.body);
    });
  });
  const { server, client, port } = await startPair(authority, {
    appPort: app,
    route: { retryPolicy: RETRY_503 },
  });
  server.apply(
    cluster("c"),
    endpoints("c", [{ port: failing }]),
    apiListener("c:80", "to-c"),
    routes("to-c", [routeTo("c", { retryPolicy: RETRY_503 })]),
  );
  outbound = await server.listen("c:80");
  return { port, calls: () => calls, client, answers: (next) => (status = next) };
}

test("a failure that the hop before has tried again is not tried again by the hop before that", async () => {
  const { port, calls, client } = await chain(true);
  const answer = await call(port);
  expect([answer.status, answer.body]).toEqual([503, "c"]);
  expect(calls()).toBe(3);
  // What sidecars tell each other is no business of applications.
  expect(Object.keys(answer.headers).filter((name) => name.startsWith("x-tulle"))).toEqual([]);
  expect(client.log()[0]).toContain(" 503 - via_upstream ");
});

test("every request is judged by itself", async () => {
  const { port, calls, answers } = await chain(true);
  await call(port);
  answers(200);
  expect((await call(port)).status).toBe(200);
  expect(calls()).toBe(4);
});

test("where an application does not pass the request id on, nobody can know", async () => {
  const { port, calls } = await chain(false);
  await call(port);
  expect(calls()).toBe(9);
});

test("an application that does not answer is left to the caller's sidecar to retry", async () => {
  let connections = 0;
  const { port: dying } = await rawBackend((socket) => {
    connections++;
    socket.once("data", () => socket.destroy());
  });
  const { port } = await startPair(authority, { appPort: dying, route: { retryPolicy: DEFAULT_RETRIES } });
  expect((await call(port)).status).toBe(503);
  expect(connections).toBe(3);
});
