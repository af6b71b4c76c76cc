import { request as httpRequest, type IncomingMessage } from "node:http";

import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, createProxy, type TestProxy } from "../../test/harness.js";
import { apiListener, cluster, endpoints, routes, routeTo, type RouteInit } from "../../test/resources.js";

afterEach(closeAll);

const APP = "outbound|80||app";
const OTHER = "outbound|80||other";

/** `/other…` → other, everything else → app, with redirects followed. */
async function proxyTo(app: number, other: number, policy: object = {}): Promise<[TestProxy, number]> {
  const proxy = createProxy();
  const followed = { internalRedirectPolicy: { maxInternalRedirects: 2, ...policy } };
  const toOther: RouteInit = {
    ...routeTo(OTHER, followed),
    name: "other",
    match: { pathSpecifier: { case: "prefix", value: "/other" } },
  };
  proxy.apply(
    cluster(APP),
    endpoints(APP, [{ port: app }]),
    cluster(OTHER),
    endpoints(OTHER, [{ port: other }]),
    apiListener("app:80", "r"),
    routes("r", [toOther, routeTo(APP, followed)], ["app", "app:80"]),
  );
  return [proxy, await proxy.listen("app:80")];
}

/** Answers with what it was asked, and redirects `/to?LOCATION`, with the status of `x-status`. */
async function echo(name: string): Promise<number> {
  const { port } = await backend((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const [path, to = ""] = (request.url ?? "").split("?");
      if (path === "/to") {
        response.writeHead(Number(request.headers["x-status"] ?? 302), { location: to });
        response.end("go there");
        return;
      }
      const { host, "x-envoy-original-url": from = "" } = request.headers;
      const body = Buffer.concat(chunks).toString();
      response.end(`${name} ${request.method} ${host} ${request.url} ${body} ${String(from)}`);
    });
  });
  return port;
}

const counter = (proxy: TestProxy, what: string): string =>
  new RegExp(`^envoy_cluster_upstream_internal_redirect_${what}_total.*app.* (\\d+)$`, "m").exec(
    proxy.metricsText(),
  )?.[1] ?? "0";

test("a redirect of the service is followed by the proxy, over another route, with the body that it was asked with", async () => {
  const [proxy, port] = await proxyTo(await echo("app"), await echo("other"));
  const answer = await call(port, "/to?/other/thing", { method: "POST", body: "once more" });
  expect(answer.status).toBe(200);
  expect(answer.body).toBe("other POST app:80 /other/thing once more http://app:80/to?/other/thing");
  expect(counter(proxy, "succeeded")).toBe("1");
  await eventually(() => proxy.log().length > 0);
  expect(proxy.log()).toHaveLength(1);
  expect(proxy.log()[0]).toContain(`"POST /other/thing HTTP/1.1" 200 - via_upstream`);
});

test("a redirect to another host of the same listener changes the host, and 303 the method", async () => {
  const policy = { redirectResponseCodes: [303] };
  const [, port] = await proxyTo(await echo("app"), await echo("other"), policy);
  const answer = await call(port, "/to?http://app/other", {
    method: "POST",
    body: "form",
    headers: { "x-status": "303" },
  });
  expect(answer.body).toBe("other GET app /other  http://app:80/to?http://app/other");
});

test("AZ-13: a redirect elsewhere, one too many, and one that is not listed are the client's", async () => {
  const [proxy, port] = await proxyTo(await echo("app"), await echo("other"));
  const elsewhere = await call(port, "/to?http://elsewhere/x");
  expect([elsewhere.status, elsewhere.headers["location"]]).toEqual([302, "http://elsewhere/x"]);
  expect(elsewhere.body).toBe("go there");
  const tooMany = await call(port, "/to?/to?/to");
  expect([tooMany.status, tooMany.headers["location"]]).toEqual([302, ""]);
  const unlisted = await call(port, "/to?/x", { headers: { "x-status": "301" } });
  expect(unlisted.status).toBe(301);
  expect([counter(proxy, "succeeded"), counter(proxy, "failed")]).toEqual(["1", "2"]);
});

test("a redirect that comes before the end of the request is the client's: the rest of its body is not here", async () => {
  const { port: app } = await backend((_request, response) => {
    response.writeHead(302, { location: "/other" });
    response.end();
  });
  const [proxy, port] = await proxyTo(app, await echo("other"));
  const asked = httpRequest({ port, method: "POST", headers: { host: "app", "content-length": "10" } });
  asked.on("error", () => undefined);
  asked.write("half");
  const answer = await new Promise<IncomingMessage>((resolve) => asked.once("response", resolve));
  expect(answer.statusCode).toBe(302);
  expect(counter(proxy, "failed")).toBe("1");
  asked.destroy();
});
