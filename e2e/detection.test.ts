import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import { findKind } from "@tulle/api";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { callJson, type WebAnswer } from "./support/http.js";
import { CHAT, Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Services that nobody declares a protocol of: HTTP, gRPC, Redis, TLS and servers that speak first, all registered alike.

const app = (name: string): readonly string[] => [
  process.execPath,
  fileURLToPath(new URL(`support/apps/${name}.mjs`, import.meta.url)),
];

let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  const upstreams = ["web", "chat", "banner", "redis", "vault", "declared"].flatMap((name) => [
    "--upstream",
    `${name}:8080`,
  ]);
  const directory = mkdtempSync(join(mesh.directory, "redis-"));
  const redis = `exec redis-server --port "$PORT" --bind 127.0.0.1 --save "" --appendonly no --dir ${directory}`;
  const key = join(mesh.directory, "key.pem");
  const certificate = join(mesh.directory, "cert.pem");
  const request =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test -out".split(" ");
  execFileSync("openssl", [...request, certificate, "-keyout", key], { stdio: "ignore" });
  const environment = { TLS_KEY: key, TLS_CERT: certificate };
  const tls = { command: app("tls"), healthPath: "", environment };
  await Promise.all([
    mesh.run({ service: "web" }),
    mesh.run({ service: "chat", command: CHAT, healthPath: "" }),
    mesh.run({ service: "banner", command: app("banner"), healthPath: "" }),
    hasRedis() ? mesh.run({ service: "redis", command: ["sh", "-c", redis], healthPath: "" }) : undefined,
    ...["vault", "other"].map((service) => mesh.run({ service, ...tls })),
    mesh.run({ service: "declared", ...tls, args: ["--protocol", "tls"] }),
  ]);
  caller = await mesh.sidecar({ service: "caller", args: upstreams });
}, 60_000);

afterAll(() => mesh?.end());

function hasRedis(): boolean {
  return spawnSync("redis-server", ["--version"]).error === undefined;
}

function addressOf(upstream: string, workload = caller): { host: string; port: number } {
  const { hostname, port } = new URL(workload.upstream(upstream));
  return { host: hostname, port: Number(port) };
}

/** What a client that says nothing hears, and after how many milliseconds. */
async function listen(at: {
  host: string;
  port: number;
}): Promise<{ text: string; ms: number; socket: Socket }> {
  const socket = connect(at);
  await new Promise((resolve) => socket.once("connect", resolve));
  const started = performance.now();
  const text = await new Promise<string>((resolve, reject) => {
    socket.once("data", (data: Buffer) => resolve(data.toString()));
    socket.once("close", () => reject(new Error("closed without a word")));
    socket.on("error", () => undefined);
  });
  return { text, ms: performance.now() - started, socket };
}

async function detections(workload: Workload, port: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const lines = (await workload.metrics()).matchAll(
    /^tulle_protocol_detections_total\{port="([^"]*)",verdict="([^"]*)"\} (\d+)$/gm,
  );
  for (const [, at, verdict = "", count] of lines) if (at === port) found[verdict] = Number(count);
  return found;
}

/** Connections that the caller's sidecar has made to a service. */
async function connectionsTo(service: string): Promise<number> {
  const metrics = await caller.metrics();
  const name = clusterOf(service).replaceAll("|", "\\|");
  const found = new RegExp(`^envoy_cluster_upstream_cx_total\\{cluster_name="${name}"\\} (\\d+)$`, "m").exec(
    metrics,
  );
  return Number(found?.[1] ?? 0);
}

interface ListenerDump {
  readonly listener_statuses: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly detected: readonly { port: string; verdict: string; timeout_ms: number }[];
  }[];
}

async function listener(name: string): Promise<ListenerDump["listener_statuses"][number] | undefined> {
  const dump = (await caller.admin("/listeners?format=json")) as ListenerDump;
  return dump.listener_statuses.find((each) => each.name === name);
}

test("HTTP/1.1 is found and routed as HTTP", async () => {
  const answer = (await callJson(`${caller.upstream("web:8080")}/hello`)) as WebAnswer;
  expect(answer.headers["x-forwarded-client-cert"]).toContain("/sa/caller");
  expect(await detections(caller, "web:8080")).toEqual({ http1: expect.any(Number) as number });
});

test("gRPC is found, and reaches its server as HTTP/2 through both sidecars", async () => {
  const { host, port } = addressOf("chat:8080");
  const client = new grpc.Client(`${host}:${port}`, grpc.credentials.createInsecure());
  const bytes = (text: string): Buffer => Buffer.from(text);
  const answer = await new Promise<string>((resolve, reject) => {
    const done = (error: grpc.ServiceError | null, value?: string): void =>
      error === null ? resolve(value ?? "") : reject(error);
    client.makeUnaryRequest(
      "/test.Chat/Echo",
      bytes,
      String,
      "hello",
      { deadline: Date.now() + 10_000 },
      done,
    );
  });
  client.close();
  expect(answer).toContain("hello");
  expect(await detections(caller, "chat:8080")).toEqual({ http2: 1 });
});

test.skipIf(!hasRedis())(
  "redis-cli talks to redis-server (needs redis-server; see scripts/peers.sh)",
  async () => {
    const { host, port } = addressOf("redis:8080");
    const ask = (...words: string[]): string =>
      execFileSync("redis-cli", ["-h", host, "-p", String(port), ...words], {
        encoding: "utf8",
        timeout: 10_000,
      });
    expect(ask("SET", "greeting", "hello")).toBe("OK\n");
    expect(ask("GET", "greeting")).toBe("hello\n");
    expect(await detections(caller, "redis:8080")).toEqual({ tcp: 2 });
  },
);

test("a server that speaks first is heard soon, and the next time at once", async () => {
  const { text, socket } = await listen(addressOf("banner:8080"));
  expect(text).toBe("220 banner ready\r\n");
  socket.destroy();
  await eventually(async () => (await detections(caller, "banner:8080"))["server-first"] === 1);
  const later = await listen(addressOf("banner:8080"));
  expect(later.text).toBe("220 banner ready\r\n");
  later.socket.write("hello\r\n");
  expect(await new Promise((resolve) => later.socket.once("data", (data) => resolve(String(data))))).toBe(
    "HELLO\r\n",
  );
  later.socket.destroy();
  expect(await listener("upstream banner:8080")).toMatchObject({
    protocol: "auto",
    detected: [{ port: "banner:8080", verdict: "server-first", timeout_ms: 0 }],
  });
});

test("a client that connects ahead and then speaks HTTP is served HTTP", async () => {
  const before = await connectionsTo("web");
  const socket = connect(addressOf("web:8080"));
  let received = "";
  socket.on("data", (data: Buffer) => (received += data.toString()));
  // The sidecar has opened a connection for a server that would speak first.
  await eventually(async () => (await connectionsTo("web")) > before);
  socket.write("GET /ahead HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n");
  await eventually(() => received.includes('"/ahead"'));
  expect(received).toContain("x-forwarded-client-cert");
  socket.destroy();
});

/** Who answers TLS that asks for a name. */
function tlsAnswer(upstream: string, options: ConnectionOptions): Promise<string> {
  const socket = connectTls({ ...addressOf(upstream), rejectUnauthorized: false, ...options });
  return new Promise((resolve, reject) => {
    socket.once("data", (data: Buffer) => {
      resolve(data.toString().trim());
      socket.destroy();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed without a word")));
  });
}

const rules = (host: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${host}}
spec:
  hosts: [${host}, exact.test, "*.wild.test"]
  tls:
  - match: [{sniHosts: ["*.wild.test"], port: 8080}]
    route: [{destination: {host: other}}]
  - match: [{sniHosts: [exact.test]}]
    route: [{destination: {host: other}}]
`;

test.each(["vault", "declared"])(
  "TLS to %s is carried as it is, and its name chooses the route",
  async (service) => {
    const upstream = `${service}:8080`;
    await eventually(async () => (await tlsAnswer(upstream, {})) === `${service} for nobody`);
    expect(await tlsAnswer(upstream, { servername: "own.test" })).toBe(`${service} for own.test`);
    expect(await tlsAnswer(upstream, { servername: "a.wild.test" })).toBe(`${service} for a.wild.test`);
    await mesh.apply(rules(service));
    await eventually(
      async () => (await tlsAnswer(upstream, { servername: "a.wild.test" })) === "other for a.wild.test",
    );
    expect(await tlsAnswer(upstream, { servername: "exact.test" })).toBe("other for exact.test");
    expect(await tlsAnswer(upstream, { servername: "wild.test" })).toBe(`${service} for wild.test`);
    expect(await tlsAnswer(upstream, {})).toBe(`${service} for nobody`);
    // OpenSSL's own client, too.
    const { host, port } = addressOf(upstream);
    const connecting = ["-connect", `${host}:${port}`, "-servername", "b.wild.test"];
    const client = spawn("openssl", ["s_client", "-quiet", ...connecting]);
    const answer = await new Promise((resolve) =>
      client.stdout.once("data", (data) => resolve(String(data))),
    );
    client.kill();
    expect(answer).toBe("other for b.wild.test\n");
    // Its hosts are the next one's.
    await mesh.client.resources.delete(findKind("networking.istio.io", "VirtualService")!, { name: service });
  },
  30_000,
);

test("a MeshConfig says how long a silent client is waited for", async () => {
  await mesh.apply(`
apiVersion: tulle.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: {protocolDetectionTimeout: 800ms}
`);
  // One that has not learnt yet who speaks first.
  const fresh = await mesh.sidecar({ service: "fresh", args: ["--upstream", "banner:8080"] });
  const first = await listen(addressOf("banner:8080", fresh));
  first.socket.destroy();
  expect(first.ms).toBeGreaterThan(700);
  const next = await listen(addressOf("banner:8080", fresh));
  next.socket.destroy();
  expect(next.text).toBe(first.text);
  await mesh.client.resources.delete(findKind("tulle.dev", "MeshConfig")!, {
    name: "mesh",
    namespace: "istio-system",
  });
});
