import { request as httpRequest } from "node:http";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { silentLogger } from "@tulle/base";
import type { Explanation } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { startControlPlane, type ControlPlane } from "../../control/src/index.js";
import { backend, call, closeAll, exchangeBytes } from "../test/harness.js";
import { runSidecar } from "./main.js";
import type { Sidecar, SidecarControlPlane, SidecarOptions } from "./options.js";

const FREE = { outbound: 0, inbound: 0, admin: 0, metrics: 0, readiness: 0 };

let directory: string;
let control: ControlPlane;
const sidecars: Sidecar[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-sidecar-"));
  control = await startControlPlane({
    httpPort: 0,
    dnsPort: 0,
    xdsPort: 0,
    logger: silentLogger,
    random: () => 0.5,
  });
});

afterEach(async () => {
  for (const sidecar of sidecars.splice(0)) await sidecar.close();
  await closeAll();
  await control.close();
  await rm(directory, { recursive: true, force: true });
});

async function api(path: string, method: string, body: unknown): Promise<unknown> {
  const response = await fetch(`http://${control.info.addresses.http}${path}`, {
    method,
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  expect(response.ok).toBe(true);
  const text = await response.text();
  return text === "" ? undefined : JSON.parse(text);
}

async function joinToken(serviceAccount: string): Promise<string> {
  const answer = await api("/tulle/v1/join-tokens", "POST", { namespace: "default", serviceAccount });
  return (answer as { token: string }).token;
}

async function controlPlaneFor(account: string): Promise<SidecarControlPlane> {
  const { addresses, rootCertificatePem } = control.info;
  return { xds: addresses.xds, rootCertificatePem, joinToken: await joinToken(account) };
}

async function start(service: string, options: Partial<SidecarOptions> = {}): Promise<Sidecar> {
  const sidecar = await runSidecar({
    service,
    instanceId: `${service}-1`,
    labels: { version: "v1" },
    inbound: [],
    upstreams: [],
    ports: FREE,
    controlPlane: await controlPlaneFor(service),
    stateDirectory: join(directory, service),
    accessLog: { file: join(directory, `${service}.log`) },
    drainMs: 500,
    logger: silentLogger,
    ...options,
  });
  sidecars.push(sidecar);
  return sidecar;
}

async function register(service: string, appPort: number, sidecar: Sidecar): Promise<void> {
  const { inbound } = sidecar.addresses;
  await api("/v1/agent/service/register", "PUT", {
    ID: `${service}-1`,
    Name: service,
    Address: "127.0.0.1",
    Port: appPort,
    Tags: ["v1"],
    Meta: { version: "v1", "tulle-service-port": "9080" },
    TaggedAddresses: { mesh: { Address: inbound!.host, Port: inbound!.port } },
  });
}

/** A meshed service `reviews` whose application tells what it was asked. */
async function reviews(): Promise<{ sidecar: Sidecar; appPort: number }> {
  const app = await backend((request, response) => response.end(JSON.stringify(request.headers)));
  const sidecar = await start("reviews", {
    inbound: [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: app.port }],
  });
  await sidecar.ready;
  await register("reviews", app.port, sidecar);
  return { sidecar, appPort: app.port };
}

test("a sidecar joins, calls a service through its upstream listener over mutual TLS, and by Host", async () => {
  await reviews();
  const sidecar = await start("frontend", { upstreams: [{ authority: "reviews:9080" }] });
  await sidecar.ready;
  const [upstream] = sidecar.addresses.upstreams;
  expect(sidecar.environment()).toMatchObject({ REVIEWS_URL: `http://127.0.0.1:${upstream?.port}` });
  const answer = await eventually(async () => {
    const one = await call(upstream?.port ?? 0);
    return one.status === 200 ? one : undefined;
  });
  const headers = JSON.parse(answer.body) as Record<string, string>;
  expect(headers["x-forwarded-client-cert"]).toContain("URI=spiffe://cluster.local/ns/default/sa/frontend");
  const byHost = await call(sidecar.addresses.outbound!.port, "/", {
    headers: { host: "reviews.default:9080" },
  });
  expect(byHost.status).toBe(200);
  const unknown = await call(sidecar.addresses.outbound!.port, "/", { headers: { host: "nowhere:80" } });
  expect(unknown.status).toBe(404);
  const metrics = await call(sidecar.addresses.metrics.port, "/stats/prometheus");
  expect(metrics.body).toMatch(
    /istio_requests_total\{reporter="source",source_workload="frontend-v1"[^}]*destination_workload="reviews/,
  );
  expect(metrics.body).toContain("process_resident_memory_bytes");
});

test("the admin interface shows state, configuration and certificate, but no key", async () => {
  await reviews();
  const sidecar = await start("frontend", { upstreams: [{ authority: "reviews:9080" }] });
  await sidecar.ready;
  const { port } = sidecar.addresses.admin;
  const get = async (path: string): Promise<string> => (await call(port, path)).body;
  expect(await get("/ready")).toBe("LIVE\n");
  expect((await call(sidecar.addresses.readiness.port, "/healthz/ready")).status).toBe(200);
  await eventually(async () => (await get("/clusters")).includes("::rq_active::0"));
  expect(await get("/clusters")).toContain("outbound|9080||reviews.default.svc.cluster.local");
  const dump = await get("/config_dump?include_eds");
  expect(dump).toContain("envoy.admin.v3.RoutesConfigDump");
  expect(dump).toContain("reviews.default.svc.cluster.local:9080");
  expect(dump).toContain("ClusterLoadAssignment");
  const certs = await get("/certs");
  expect(certs).toContain("spiffe://cluster.local/ns/default/sa/frontend");
  for (const text of [dump, certs, await get("/server_info"), await get("/stats")])
    expect(text).not.toContain("PRIVATE KEY");
  expect(await get("/listeners")).toContain(`inbound::127.0.0.1:${sidecar.addresses.inbound!.port}`);
  expect(await get("/help")).toContain("/quitquitquit (POST)");
  expect((await call(port, "/quitquitquit")).status).toBe(405);
  expect((await call(port, "/ready", { headers: { host: "evil.example" } })).status).toBe(403);
  expect(
    (await call(port, "/drain_listeners", { method: "POST", headers: { origin: "http://evil.example" } }))
      .status,
  ).toBe(403);
  expect((await call(port, "/logging?level=loud", { method: "POST" })).status).toBe(400);
  await call(port, "/quitquitquit", { method: "POST" });
  await sidecar.quitRequested;
});

test("a sidecar that restarts while the control plane is away serves, with mutual TLS", async () => {
  await reviews();
  const first = await start("frontend", { upstreams: [{ authority: "reviews:9080" }] });
  await first.ready;
  await eventually(async () => (await call(first.addresses.upstreams[0]?.port ?? 0)).status === 200);
  await call(first.addresses.outbound!.port, "/", { headers: { host: "reviews.default:9080" } });
  await first.close();
  const state = join(directory, "frontend");
  for (const file of await readdir(state)) expect((await stat(join(state, file))).mode & 0o077).toBe(0);
  await control.close();
  const second = await runSidecar({
    service: "frontend",
    instanceId: "frontend-1",
    labels: { version: "v1" },
    inbound: [],
    upstreams: [{ authority: "reviews:9080" }],
    ports: FREE,
    controlPlane: { xds: control.info.addresses.xds, rootCertificatePem: control.info.rootCertificatePem },
    stateDirectory: state,
    accessLog: "off",
    logger: silentLogger,
  });
  sidecars.push(second);
  await second.ready;
  const answer = await call(second.addresses.upstreams[0]?.port ?? 0);
  expect(answer.status).toBe(200);
  expect(answer.body).toContain("URI=spiffe://cluster.local/ns/default/sa/frontend");
  const byHost = await call(second.addresses.outbound!.port, "/", {
    headers: { host: "reviews.default:9080" },
  });
  expect(byHost.status).toBe(200);
});

test("an endpoint that leaves the registry is no longer called, and one that comes is", async () => {
  const { sidecar: server, appPort } = await reviews();
  const client = await start("frontend", { upstreams: [{ authority: "reviews:9080" }] });
  await client.ready;
  const port = client.addresses.upstreams[0]?.port ?? 0;
  await eventually(async () => (await call(port)).status === 200);
  await api("/v1/agent/service/deregister/reviews-1", "PUT", undefined);
  await eventually(async () => (await call(port)).status !== 200);
  await register("reviews", appPort, server);
  await eventually(async () => (await call(port)).status === 200);
});

test("/healthz/ready says whether the application is ready, where that was asked for", async () => {
  let status = 503;
  const app = await backend((_request, response) => {
    response.statusCode = status;
    response.end();
  });
  const server = await start("reviews", { readyIncludesApp: { port: app.port, path: "/healthy" } });
  await server.ready;
  const ready = () => call(server.addresses.readiness.port, "/healthz/ready");
  expect(await ready()).toMatchObject({
    status: 503,
    body: "APPLICATION NOT READY: GET /healthy: 503\n",
  });
  expect((await call(server.addresses.admin.port, "/ready")).status).toBe(200);
  status = 204;
  await eventually(async () => (await ready()).body === "LIVE\n");
  await server.drain();
  expect((await ready()).body).toBe("DRAINING\n");
});

test("drain takes the sidecar out of service without failing what is under way", async () => {
  let release: (() => void) | undefined;
  const app = await backend((_request, response) => {
    release = () => response.end("done");
  });
  const server = await start("reviews", {
    inbound: [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: app.port }],
  });
  await server.ready;
  const { port } = server.addresses.inbound!;
  const busy = exchangeBytes(port, "GET / HTTP/1.1\r\nHost: reviews\r\n\r\n");
  await eventually(() => release);
  const draining = server.drain();
  expect((await call(server.addresses.readiness.port, "/healthz/ready")).body).toBe("DRAINING\n");
  await expect(call(port)).rejects.toThrow("ECONNREFUSED");
  release?.();
  expect(await busy).toContain("done");
  await draining;
});

test("the access log has a line per request in Istio's format", async () => {
  await reviews();
  const sidecar = await start("frontend", { upstreams: [{ authority: "reviews:9080" }] });
  await sidecar.ready;
  const port = sidecar.addresses.upstreams[0]?.port ?? 0;
  await eventually(
    async () => (await call(port, "/logged", { headers: { "user-agent": "tester" } })).status === 200,
  );
  await sidecar.close();
  const lines = await eventually(async () => {
    const text = await readFile(join(directory, "frontend.log"), "utf8");
    return text.includes(" 200 - via_upstream") ? text.trim().split("\n") : undefined;
  });
  expect(lines.at(-1)).toMatch(
    /^\[\d{4}-[^\]]+Z\] "GET \/logged HTTP\/1\.1" 200 - via_upstream - "-" 0 \d+ \d+ \d+ "-" "tester" "[0-9a-f-]{36}" "reviews:9080" "127\.0\.0\.1:\d+" outbound\|9080\|\|reviews\.default\.svc\.cluster\.local 127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ - default$/,
  );
});

test("runSidecar rejects, and leaves nothing open, when a port is taken or there is no way to an identity", async () => {
  const taken = await backend(() => undefined);
  await expect(start("frontend", { ports: { ...FREE, inbound: taken.port } })).rejects.toMatchObject({
    code: "PROXY_LISTEN_FAILED",
    message: expect.stringContaining("the inbound listener cannot listen") as string,
  });
  const options: Partial<SidecarOptions> = { stateDirectory: join(directory, "nobody") };
  await expect(
    runSidecar({
      service: "frontend",
      instanceId: "x",
      inbound: [],
      upstreams: [],
      ports: FREE,
      controlPlane: { xds: control.info.addresses.xds, rootCertificatePem: control.info.rootCertificatePem },
      stateDirectory: options.stateDirectory ?? "",
      logger: silentLogger,
    }),
  ).rejects.toMatchObject({ code: "AGENT_NO_JOIN_TOKEN" });
});

test("a refused join token makes ready reject, and close ends everything", async () => {
  const controlPlane = { ...(await controlPlaneFor("frontend")), joinToken: "wrong" };
  const sidecar = await start("frontend", { controlPlane });
  await expect(sidecar.ready).rejects.toMatchObject({ code: "AGENT_CONTROL_PLANE" });
  const { port } = sidecar.addresses.admin;
  await sidecar.close();
  await new Promise<void>((resolve) => {
    const outgoing = httpRequest({ host: "127.0.0.1", port });
    outgoing.on("error", () => resolve());
    outgoing.end();
  });
});

test("the admin interface explains a request, asking the control plane for what is not known yet", async () => {
  await reviews();
  const sidecar = await start("frontend", { upstreams: [] });
  await sidecar.ready;
  const ask = async (body: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${sidecar.addresses.admin.port}/explain`, { method: "POST", body });
  const question = { url: "http://reviews:9080/x", headers: ["x-request-id: one"] };
  const explanation = await eventually(async () => {
    const made = (await (await ask(JSON.stringify(question))).json()) as Explanation;
    return made.result.kind === "forward" ? made : undefined;
  });
  expect(explanation).toMatchObject({
    version: 1,
    direction: "outbound",
    request: { path: "/x", requestId: "one" },
    cluster: { name: "outbound|9080||reviews.default.svc.cluster.local" },
    endpoints: [{ health: ["healthy"], mutualTls: true, share: 1, chosen: true }],
  });
  const nowhere = (await (await ask('{"url": "http://nowhere/"}')).json()) as Explanation;
  expect(nowhere.result).toEqual({ kind: "unknown-service", status: 404, flag: "NR" });
  const wrong = await ask("{");
  expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining("JSON object")]);
  expect((await ask(" ".repeat(70_000))).status).toBe(413);
});

function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.end());
    socket.on("error", () => resolve(true));
    socket.on("close", () => resolve(false));
  });
}

test("a sidecar with a successor leaves its sockets and finishes what it has", async () => {
  let answer: (() => void) | undefined;
  const app = await backend((_request, response) => (answer = () => response.end("late")));
  const inbound = [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: app.port }];
  const server = await start("reviews", { inbound });
  await server.ready;
  await register("reviews", app.port, server);
  const client = await start("frontend", { upstreams: [{ authority: "reviews:9080" }] });
  await client.ready;
  const port = client.addresses.upstreams[0]?.port ?? 0;
  const { sockets, retire } = client.handover();
  expect([...sockets.keys()].sort()).toEqual([
    "admin",
    "inbound",
    "metrics",
    "outbound",
    "readiness",
    "upstream reviews:9080",
  ]);
  const late = call(port);
  await eventually(() => answer);
  const retired = retire(20_000);
  for (const taken of [port, client.addresses.admin.port]) await eventually(() => isRefused(taken));
  answer?.();
  expect(await late).toMatchObject({ status: 200, body: "late" });
  await retired;
});

test("a sidecar that answers DNS gives up the sockets of that, too", async () => {
  const sidecar = await start("frontend", { ports: { ...FREE, dns: 0 } });
  await sidecar.ready;
  expect([...sidecar.handover().sockets.keys()]).toEqual(
    expect.arrayContaining(["dns 127.0.0.1 udp", "dns 127.0.0.1 tcp"]),
  );
});

test("no successor can take over from a gateway", async () => {
  const sidecar = await start("frontend", { gateway: {}, inboundAddress: "127.0.0.1" });
  await sidecar.ready;
  expect(() => sidecar.handover()).toThrow(expect.objectContaining({ code: "PROXY_NO_HANDOVER" }));
});
