import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, createProxy } from "../../test/harness.js";
import { apiListener, cluster, endpoints, routes, routeTo } from "../../test/resources.js";

afterEach(closeAll);

async function versions(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let i = 1; i <= count; i++)
    ports.push((await backend((_request, response) => response.end(`v${i}`))).port);
  return ports;
}

const v1 = "outbound|9080|v1|reviews.default.svc.cluster.local";
const v2 = "outbound|9080|v2|reviews.default.svc.cluster.local";

test("a canary splits by weight, and a header sends its requests to one version only", async () => {
  const [one, two] = (await versions(2)) as [number, number];
  const proxy = createProxy();
  proxy.apply(
    cluster(v1),
    endpoints(v1, [{ port: one }]),
    cluster(v2),
    endpoints(v2, [{ port: two }]),
    apiListener("reviews:9080", "r"),
    routes("r", [
      {
        name: "canary",
        match: {
          pathSpecifier: { case: "prefix", value: "/" },
          headers: [
            {
              name: "version",
              headerMatchSpecifier: {
                case: "stringMatch",
                value: { matchPattern: { case: "exact", value: "v2" } },
              },
            },
          ],
        },
        action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: v2 } } },
      },
      {
        name: "rest",
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        action: {
          case: "route",
          value: {
            clusterSpecifier: {
              case: "weightedClusters",
              value: {
                clusters: [
                  { name: v1, weight: 90 },
                  { name: v2, weight: 10 },
                ],
              },
            },
          },
        },
      },
    ]),
  );
  const port = await proxy.listen("reviews:9080");
  for (let i = 0; i < 20; i++)
    expect((await call(port, "/", { headers: { Version: "v2" } })).body).toBe("v2");
  let second = 0;
  const total = 600;
  for (let i = 0; i < total / 20; i++) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(port)));
    second += answers.filter(({ body }) => body === "v2").length;
  }
  // 60 expected; five standard deviations around it.
  expect(second).toBeGreaterThan(60 - 37);
  expect(second).toBeLessThan(60 + 37);
});

test("an endpoint update takes effect for the next request, and a split that changes too", async () => {
  const [one, two] = (await versions(2)) as [number, number];
  const proxy = createProxy();
  proxy.apply(
    cluster(v1),
    endpoints(v1, [{ port: one }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(v1)]),
  );
  const port = await proxy.listen("reviews:9080");
  expect((await call(port)).body).toBe("v1");
  proxy.apply(endpoints(v1, [{ port: two }]));
  expect((await call(port)).body).toBe("v2");
  proxy.apply(cluster(v2), endpoints(v2, [{ port: one }]));
  proxy.apply(routes("r", [routeTo(v2)]));
  expect((await call(port)).body).toBe("v1");
});

test("the authority is the endpoint's name where the route says so and the endpoint has one", async () => {
  const { port: app } = await backend((request, response) => response.end(request.headers.host));
  const proxy = createProxy();
  const hostOf = async (host: string): Promise<string> => {
    proxy.apply(
      cluster(v1),
      endpoints(v1, [{ host, port: app }]),
      apiListener("reviews:9080", "r"),
      routes("r", [
        routeTo(v1, { hostRewriteSpecifier: { case: "autoHostRewrite", value: { value: true } } }),
      ]),
    );
    return (await call(await proxy.listen("reviews:9080"), "/", { headers: { host: "asked" } })).body;
  };
  expect(await hostOf("localhost")).toBe("localhost");
  expect(await hostOf("127.0.0.1")).toBe("asked");
});

test("rewrites, header changes, redirects and fixed responses are carried out", async () => {
  const { port: app } = await backend((request, response) => {
    response.setHeader("x-secret", "1");
    response.end(
      `${request.headers.host} ${request.url} ${String(request.headers["x-added"])} ${String(request.headers["x-removed"])}`,
    );
  });
  const proxy = createProxy();
  proxy.apply(
    cluster(v1),
    endpoints(v1, [{ port: app }]),
    apiListener("reviews:9080", "r"),
    routes("r", [
      {
        match: { pathSpecifier: { case: "prefix", value: "/old" } },
        action: {
          case: "redirect",
          value: { pathRewriteSpecifier: { case: "pathRedirect", value: "/new" } },
        },
      },
      {
        match: { pathSpecifier: { case: "path", value: "/teapot" } },
        action: {
          case: "directResponse",
          value: { status: 418, body: { specifier: { case: "inlineString", value: "short" } } },
        },
      },
      {
        ...routeTo(v1, {
          prefixRewrite: "/api",
          hostRewriteSpecifier: { case: "hostRewriteLiteral", value: "other.example" },
        }),
        requestHeadersToAdd: [{ header: { key: "x-added", value: "yes" } }],
        requestHeadersToRemove: ["x-removed"],
        responseHeadersToRemove: ["x-secret"],
      },
    ]),
  );
  const port = await proxy.listen("reviews:9080");
  const answer = await call(port, "/items", { headers: { "X-Removed": "me" } });
  expect(answer.body).toBe("other.example /apiitems yes undefined");
  expect(answer.headers["x-secret"]).toBeUndefined();
  const redirect = await call(port, "/old/x");
  expect(redirect.status).toBe(301);
  expect(redirect.headers.location).toMatch(/\/new$/);
  const fixed = await call(port, "/teapot");
  expect(fixed.status).toBe(418);
  expect(fixed.body).toBe("short");
});

test("no matching route is answered with 404 and flag NR", async () => {
  const proxy = createProxy();
  proxy.apply(apiListener("reviews:9080", "r"), routes("r", []));
  const answer = await call(await proxy.listen("reviews:9080"));
  expect(answer.status).toBe(404);
  expect(answer.body).toContain("no route of reviews:9080 matches");
});

test.each(["/x/../admin", "/x/%2e%2e/admin", "/./admin", "/x\\..\\admin"])(
  "a rule for a path catches %s, and the server is asked for the path that was matched",
  async (path) => {
    const { port: seen } = await backend((request, response) => response.end(request.url));
    const proxy = createProxy();
    proxy.apply(
      cluster(v1),
      endpoints(v1, [{ port: seen }]),
      apiListener("reviews:9080", "r"),
      routes("r", [
        {
          name: "denied",
          match: { pathSpecifier: { case: "prefix", value: "/admin" } },
          action: { case: "directResponse", value: { status: 403 } },
        },
        routeTo(v1),
      ]),
    );
    const port = await proxy.listen("reviews:9080");
    expect((await call(port, path)).status).toBe(403);
    expect((await call(port, path.replace("admin", "open?q=/../x"))).body).toBe("/open?q=/../x");
  },
);
