import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, closedPort, createProxy } from "../../test/harness.js";
import { apiListener, serviceAt } from "../../test/resources.js";

afterEach(closeAll);

const ID = "11111111-2222-4333-8444-555555555555";

/** `manager`: more of the listener's HttpConnectionManager. */
async function proxyTo(
  ports: readonly number[],
  manager: Parameters<typeof apiListener>[2] = {},
  options: Parameters<typeof createProxy>[0] = {},
): Promise<{ readonly port: number }> {
  const proxy = createProxy({ name: "web", ...options });
  const listener = apiListener("reviews:9080", "reviews.default.svc.cluster.local:9080", manager);
  proxy.apply(...serviceAt("reviews:9080", ports), listener);
  return { port: await proxy.listen("reviews:9080") };
}

test("an error answer of the proxy's own says in Proxy-Status what went wrong, and names its request", async () => {
  const dead = await closedPort();
  const { port } = await proxyTo([dead]);
  const { headers } = await call(port, "/", { headers: { "x-request-id": ID } });
  expect(headers["x-request-id"]).toBe(ID);
  expect(headers["proxy-status"]).toBe(
    `tulle-web; error=connection_refused; next-hop="127.0.0.1:${dead}"; details="upstream_reset_before_response_started{remote_connection_failure|ECONNREFUSED}; URX,UF"`,
  );
});

test("an application's failure is left as it is, but for the id of its request", async () => {
  const { port: app } = await backend((_request, response) => {
    response.writeHead(503, { "proxy-status": "cdn; error=dns_error" }).end();
  });
  const { port } = await proxyTo([app]);
  const { headers } = await call(port, "/", { method: "POST", headers: { "x-request-id": ID } });
  expect(headers["proxy-status"]).toBe("cdn; error=dns_error");
  expect(headers["x-request-id"]).toBe(ID);
});

test("a success has neither, and an application's own id is not doubled", async () => {
  let status = 200;
  const { port: app } = await backend((_request, response) => {
    response.writeHead(status, status === 200 ? {} : { "x-request-id": "its-own" }).end();
  });
  const { port } = await proxyTo([app]);
  const fine = await call(port);
  expect(fine.headers["x-request-id"]).toBeUndefined();
  expect(fine.headers["proxy-status"]).toBeUndefined();
  status = 500;
  expect((await call(port, "/", { headers: { "x-request-id": ID } })).headers["x-request-id"]).toBe(
    "its-own",
  );
});

test("Envoy's proxy_status_config says what is told and how, and the status that RFC 9209 recommends", async () => {
  const { port } = await proxyTo([await closedPort()], {
    proxyStatusConfig: {
      proxyName: { case: "literalProxyName", value: "edge 1" },
      removeResponseFlags: true,
      setRecommendedResponseCode: true,
    },
  });
  const { status, headers } = await call(port);
  expect(status).toBe(502);
  expect(headers["proxy-status"]).toMatch(
    /^"edge 1"; error=connection_refused; .*; details="upstream_[^;]*"$/,
  );
  const bare = await proxyTo([await closedPort()], { proxyStatusConfig: { removeDetails: true } });
  expect((await call(bare.port)).headers["proxy-status"]).not.toContain("details");
});

test("Proxy-Status is left out where it is not wanted", async () => {
  const { port } = await proxyTo([await closedPort()], {}, { proxyStatus: false });
  const { headers } = await call(port);
  expect(headers["proxy-status"]).toBeUndefined();
  expect(headers["x-request-id"]).toBeDefined();
});

test("always_set_request_id_in_response names the request in every response", async () => {
  const { port: app } = await backend((_request, response) => response.end("ok"));
  const { port } = await proxyTo([app], { alwaysSetRequestIdInResponse: true });
  expect((await call(port, "/", { headers: { "x-request-id": ID } })).headers["x-request-id"]).toBe(ID);
});

test("what nothing routes is told as a destination that is not found", async () => {
  const proxy = createProxy({ name: "web" });
  const port = await proxy.listen("");
  const { headers } = await call(port, "/", { headers: { host: "127.0.0.1:1" } });
  expect(headers["proxy-status"]).toMatch(/^tulle-web; error=[a-z_]+; details="/);
});
