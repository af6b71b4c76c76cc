import type { RequestListener } from "node:http";

import type { Explanation } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer, type CallOptions } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { ScriptedApp } from "./support/scripted-app.js";
import { clusterOf, type Workload } from "./support/workload.js";

// What decides where a request goes besides a balancer: cookies, redirects of the service, load reports, the request's own
// word, and other services. The shop's two instances, outside of the mesh, do what each test says.

let mesh: Mesh;
let caller: Workload;
let one: ScriptedApp;
let two: ScriptedApp;

beforeAll(async () => {
  [one, two] = await Promise.all([ScriptedApp.listen(), ScriptedApp.listen()]);
  mesh = await Mesh.start();
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 127.0.0.1, ports: {http: ${one.port}}}
  - {address: 127.0.0.1, ports: {http: ${two.port}}}
`);
  caller = await mesh.sidecar({
    service: "caller",
    args: ["--upstream", "shop.example:80", "--upstream", "web:8080"],
  });
  await caller.knows("outbound|80||shop.example", 2);
}, 90_000);

afterAll(async () => {
  await mesh.end();
  one.close();
  two.close();
});

const ask = (path = "", options: CallOptions = {}): Promise<Answer> =>
  call(`${caller.upstream("shop.example:80")}${path}`, options);

function script(listener: (name: string) => RequestListener): void {
  one.script(listener("one"));
  two.script(listener("two"));
}

function policy(spec: string): Promise<void> {
  return mesh.apply(`
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: shop}
spec: {host: shop.example, ${spec}}
`);
}

const reasonsOf = ({ steps }: Explanation): string =>
  steps.flatMap(({ events }) => events.map(({ reason }) => reason)).join("\n");

test("a cookie chooses the rule, and redirects of the service are followed by the caller's sidecar", async () => {
  script((name) => (request, response) => {
    if (request.url === "/old") response.writeHead(302, { location: "http://shop.example/new" }).end();
    else if (request.url === "/away") response.writeHead(302, { location: "http://other.example/" }).end();
    else response.end(`${name} ${request.url} ${String(request.headers["x-envoy-original-url"] ?? "")}`);
  });
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, annotations: {tulle.dev/internal-redirects: "2"}}
spec:
  hosts: [shop.example]
  http:
  - match: [{headers: {"@request.cookies.beta": {exact: "on"}}}]
    directResponse: {status: 418}
  - route: [{destination: {host: shop.example}}]
`);
  const withCookie = (cookie: string) => ask("/", { headers: { cookie } });
  await eventually(async () => (await withCookie("a=b; beta=on")).status === 418);
  expect((await withCookie("xbeta=on; beta=off")).status).toBe(200);
  expect((await ask("/old")).body).toMatch(/^(?:one|two) \/new http:\/\/shop\.example(?::80)?\/old$/);
  const away = await ask("/away");
  expect([away.status, away.headers["location"]]).toEqual([302, "http://other.example/"]);
  expect(await caller.metrics()).toMatch(/internal_redirect_succeeded_total\{.*shop\.example.*\} 1/);
  const { explanation } = await mesh.client.explain({
    from: "caller",
    method: "GET",
    url: "http://shop.example/",
    headers: ["cookie: beta=off"],
  });
  const reasons = reasonsOf(explanation as Explanation);
  expect(reasons).toContain('cookie "beta" is "off", not "on"');
  expect(reasons).toContain("is followed by the sidecar itself, up to 2 times");
}, 60_000);

test("instances get requests by the load that they report, and a request goes where its header says", async () => {
  script((name) => (_request, response) => {
    const load = name === "one" ? 0.1 : 0.9;
    response.setHeader("endpoint-load-metrics", `TEXT cpu_utilization=${load},rps_fractional=50`);
    response.end(name);
  });
  await policy(
    "loadBalancer: CLIENT_SIDE_WEIGHTED_ROUND_ROBIN, loadReports: {blackout: 0s, updateInterval: 100ms}, overrideHostHeader: x-instance",
  );
  await eventually(async () => {
    let busy = 0;
    for (let count = 0; count < 20; count++) if ((await ask()).body === "two") busy++;
    return busy === 2;
  });
  const headers = { "x-instance": `127.0.0.1:${two.port}` };
  for (let count = 0; count < 5; count++) expect((await ask("/", { headers })).body).toBe("two");
}, 60_000);

test("a caller that may use one of the instances uses one, the same after a restart", async () => {
  script((name) => (_request, response) => response.end(name));
  await policy("maxEndpoints: 1");
  const used = async (): Promise<string[]> => {
    const bodies = new Set<string>();
    for (let count = 0; count < 12; count++) bodies.add((await ask()).body);
    return [...bodies];
  };
  await eventually(async () => (await used()).length === 1);
  const [before] = await used();
  const args = ["--upstream", "shop.example:80", "--upstream", "web:8080"];
  await caller.process.stop();
  caller = await mesh.sidecar({ service: "caller", args });
  expect(await used()).toEqual([before]);
}, 60_000);

test("a name's addresses are looked up and become endpoints", async () => {
  script((name) => (request, response) => response.end(`${name} ${request.headers.host}`));
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: named}
spec:
  hosts: [named.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: ${one.port}}]
  resolution: DNS
  endpoints: [{address: localhost}]
`);
  const url = `http://127.0.0.1:${caller.ready.addresses.outbound.port}/`;
  await eventually(async () => {
    const { status, body } = await call(url, { headers: { host: "named.example" } });
    return status === 200 && body === "one named.example";
  });
  const text = (await call(`http://127.0.0.1:${caller.ready.addresses.admin.port}/clusters`)).body;
  expect(text).toContain(`outbound|80||named.example::127.0.0.1:${one.port}::`);
  // With worker threads the main thread looks up, and tells them.
  const threaded = await mesh.sidecar({
    service: "threaded",
    args: ["--workers", "2", "--upstream", "named.example:80"],
  });
  for (let count = 0; count < 6; count++) {
    const { status, body } = await call(threaded.upstream("named.example:80"));
    expect([status, body]).toEqual([200, "one named.example:80"]);
  }
  expect(await caller.metrics()).toMatch(/tulle_dns_lookups_total\{result="success"\} [1-9]/);
}, 60_000);

test("another service takes over when a service has no instance left, and gives back when it has one again", async () => {
  await mesh.apply(`
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: web}
spec: {host: web, failover: [spare]}
`);
  await Promise.all([
    mesh.run({ service: "web", name: "web-1" }),
    mesh.run({ service: "spare", name: "spare-1" }),
  ]);
  const instance = async (): Promise<string> => {
    const { status, body } = await call(caller.upstream("web:8080"));
    return status === 200 ? (JSON.parse(body) as { instance: string }).instance : String(status);
  };
  await eventually(async () => (await instance()) === "web-1");
  for (let count = 0; count < 10; count++) expect(await instance()).toBe("web-1");
  await mesh.client.registry.maintenance("web-1", true);
  await caller.knows(clusterOf("web"), 0);
  for (let count = 0; count < 10; count++) expect(await instance()).toBe("spare-1");
  await mesh.client.registry.maintenance("web-1", false);
  await eventually(async () => (await instance()) === "web-1");
  const { explanation } = await mesh.client.explain({
    from: "caller",
    method: "GET",
    url: "http://web:8080/",
  });
  const reasons = reasonsOf(explanation as Explanation);
  expect(reasons).toContain("gets 100 % of the requests to failover|8080||web");
}, 90_000);
