import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  createProxy,
  type CallOptions,
  type TestProxy,
} from "../../test/harness.js";
import { dial } from "../../test/http2.js";
import { apiListener, cluster, endpoints, routes, type RouteInit } from "../../test/resources.js";

// Routes that lead to where they come from: each request goes once, or so many times as is said.

afterEach(closeAll);

const APP = "outbound|80||app";

interface Served {
  readonly proxy: TestProxy;
  readonly port: number;
  /** What the application was asked for. */
  readonly asked: string[];
}

/** `app:80` with these routes, before an application that redirects what begins with `/again` to `/again` with `status`. */
async function serve(action: object, more: readonly RouteInit[] = [], status = 302): Promise<Served> {
  const asked: string[] = [];
  const app = await backend((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const { host, "content-length": length = "-", "transfer-encoding": coding = "-" } = request.headers;
      asked.push(`${request.method} ${host} ${request.url} ${body} ${length} ${coding}`);
      if (request.url?.startsWith("/again") === true) response.writeHead(status, { location: "/again" });
      if (request.url === "/form") response.writeHead(status, { location: "/done" });
      response.end("app");
    });
  });
  const proxy = createProxy();
  const route: RouteInit = {
    name: "app",
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: APP }, ...action } },
  };
  proxy.apply(
    cluster(APP),
    endpoints(APP, [{ port: app.port }]),
    apiListener("app:80", "r"),
    routes("r", [...more, route], ["app", "app:80"]),
  );
  return { proxy, port: await proxy.listen("app:80"), asked };
}

test("AZ-13: a service that redirects to itself is asked as often as its route says, then the client is", async () => {
  const { port, asked } = await serve({ internalRedirectPolicy: { maxInternalRedirects: 3 } });
  expect((await call(port, "/again")).status).toBe(302);
  expect(asked).toHaveLength(4);
});

test("AZ-13: what is rewritten is not routed again", async () => {
  const { port, asked } = await serve({
    prefixRewrite: "/again/",
    hostRewriteSpecifier: { case: "hostRewriteLiteral", value: "app" },
  });
  expect((await call(port, "/x")).status).toBe(302);
  expect(asked).toEqual(["GET app /again/x  - -"]);
});

test("AZ-13: a route that redirects to itself answers its client, and asks nobody", async () => {
  const { port, asked } = await serve({}, [
    {
      name: "redirect",
      match: { pathSpecifier: { case: "prefix", value: "/loop" } },
      action: { case: "redirect", value: { pathRewriteSpecifier: { case: "pathRedirect", value: "/loop" } } },
    },
  ]);
  const answer = await call(port, "/loop", { headers: { host: "app" } });
  expect([answer.status, answer.headers["location"]]).toEqual([301, "http://app:80/loop"]);
  expect(asked).toEqual([]);
});

test("AZ-13: a copy to the service itself is one copy", async () => {
  const { proxy, port, asked } = await serve({
    requestMirrorPolicies: [{ cluster: APP, runtimeFraction: { defaultValue: { numerator: 100 } } }],
  });
  for (let n = 1; n <= 3; n++) {
    expect((await call(port, `/${n}`, { headers: { host: "app" } })).status).toBe(200);
    await eventually(() => asked.length === 2 * n);
  }
  expect(asked.filter((one) => one.startsWith("GET app-shadow ")).length).toBe(3);
  await eventually(() => proxy.load.inFlight(1) === 0);
});

test("AZ-13: a service whose endpoint is the sidecar itself comes to its limit, and is refused", async () => {
  const proxy = createProxy();
  const port = await proxy.listen("app:80");
  proxy.apply(
    cluster(APP, { thresholds: { maxConnections: 8, maxPendingRequests: 1, maxRequests: 8 } }),
    endpoints(APP, [{ port }]),
    apiListener("app:80", "r"),
    routes("r", [
      {
        name: "app",
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: APP } } },
      },
    ]),
  );
  expect((await call(port, "/")).status).toBe(503);
  expect(proxy.log().length).toBeLessThan(20);
});

// CVE-2026-47221: a 303 that is followed for a request without a body.
const REQUESTS: readonly (readonly [string, CallOptions, string])[] = [
  ["POST without a body", { method: "POST" }, "GET"],
  ["POST with a body", { method: "POST", body: "form" }, "GET"],
  ["POST in chunks", { method: "POST", body: [Buffer.from("fo"), Buffer.from("rm")] }, "GET"],
  ["DELETE", { method: "DELETE" }, "GET"],
  ["GET", {}, "GET"],
  ["HEAD", { method: "HEAD" }, "HEAD"],
];

test.each(REQUESTS)("AZ-13: a 303 for %s is followed without a body", async (_what, options, method) => {
  const policy = { maxInternalRedirects: 1, redirectResponseCodes: [303] };
  const { port, asked } = await serve({ internalRedirectPolicy: policy }, [], 303);
  const headers = { host: "app" };
  expect((await call(port, "/form", { ...options, headers })).status).toBe(200);
  expect(asked.slice(1)).toEqual([`${method} app /done  - -`]);
  expect((await call(port, "/x", { headers })).status).toBe(200);
});

test.each([true, false])(
  "AZ-13: a 303 is followed for a stream of HTTP/2, with a body: %s",
  async (withBody) => {
    const policy = { maxInternalRedirects: 1, redirectResponseCodes: [303] };
    const { port, asked } = await serve({ internalRedirectPolicy: policy }, [], 303);
    const session = dial(port);
    const stream = session.request(
      { ":method": "POST", ":path": "/form", ":authority": "app" },
      { endStream: !withBody },
    );
    if (withBody) stream.end("form");
    const status = await new Promise((resolve) =>
      stream.once("response", (answer) => resolve(answer[":status"])),
    );
    stream.resume();
    session.destroy();
    expect(status).toBe(200);
    expect(asked.slice(1)).toEqual(["GET app /done  - -"]);
  },
);
