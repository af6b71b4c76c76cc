import { execFile, execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";

import * as grpc from "@grpc/grpc-js";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer, type CallOptions, type WebAnswer } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { urlOf, type Workload } from "./support/workload.js";

// Routes of Gateway API, bound to services, as callers of them see it through real sidecars.

const hasKubectl = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;

let mesh: Mesh;
let caller: Workload;
/** Of another namespace than everything else. */
let stranger: Workload;
const servers: Server[] = [];
const grpcServers: grpc.Server[] = [];

beforeAll(async () => {
  mesh = await Mesh.start();
  const upstreams = ["reviews", "who", "db", "vault", "front"].flatMap((name) => [
    "--upstream",
    `${name}.default:8080`,
  ]);
  const [, , sidecar, other] = await Promise.all([
    mesh.run({ service: "reviews" }),
    mesh.run({ service: "reviews-v2" }),
    mesh.sidecar({ service: "caller", args: upstreams }),
    mesh.sidecar({ service: "stranger", args: ["--namespace", "other", ...upstreams] }),
    ...["who", "who-v2"].map(startGrpc),
    ...["db", "db-v2"].map(startBanner),
    startTls(["vault", "vault-v2"]),
  ]);
  caller = sidecar;
  stranger = other;
  await mesh.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n");
}, 60_000);

afterAll(async () => {
  for (const server of servers) server.close();
  for (const server of grpcServers) server.forceShutdown();
  await mesh?.end();
});

/** Registers a server of this process, which has no sidecar, at port 8080 of a service. */
async function register(service: string, port: number, protocol: string): Promise<void> {
  await mesh.client.registry.register({
    ID: service,
    Name: service,
    Address: "127.0.0.1",
    Port: port,
    Meta: { "tulle-protocol": protocol, "tulle-service-port": "8080" },
  });
}

async function startGrpc(service: string): Promise<void> {
  const method = (name: string) => ({
    path: `/test.Who/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: (bytes: Buffer) => bytes.toString(),
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: (bytes: Buffer) => bytes.toString(),
  });
  const server = new grpc.Server();
  grpcServers.push(server);
  const answer = (_call: unknown, done: grpc.sendUnaryData<string>): void => done(null, service);
  server.addService({ ami: method("Ami"), elseIs: method("ElseIs") }, { ami: answer, elseIs: answer });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  await register(service, port, "grpc");
}

/** A server that says its name and closes. */
async function startBanner(service: string): Promise<void> {
  await register(service, await listen(createServer((socket) => socket.end(service))), "tcp");
}

async function startTls(services: readonly string[]): Promise<void> {
  const key = join(mesh.directory, "key.pem");
  const certificate = join(mesh.directory, "cert.pem");
  const request =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test -out".split(" ");
  execFileSync("openssl", [...request, certificate, "-keyout", key], { stdio: "ignore" });
  const options = { key: readFileSync(key), cert: readFileSync(certificate) };
  for (const service of services) {
    const server = createTlsServer(options, (socket) => {
      socket.on("error", () => undefined);
      socket.end(service);
    });
    await register(service, await listen(server), "tls");
  }
}

function listen(server: Server): Promise<number> {
  servers.push(server);
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** A route of some kind in the namespace `default`, bound to a service of its name. */
function route(
  kind: string,
  service: string,
  rules: string,
  options: { namespace?: string; spec?: string } = {},
) {
  const { namespace = "default", spec = "" } = options;
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {name: ${service}, namespace: ${namespace}}
spec:
  parentRefs: [{kind: Service, group: "", name: ${service}, namespace: default, port: 8080}]
  ${spec}
  rules: ${rules}
`;
}

const to = (name: string, more = ""): string => `{name: ${name}, namespace: default, port: 8080${more}}`;

function ask(path: string, options: CallOptions = {}, from = caller): Promise<Answer> {
  return call(`${from.upstream("reviews.default:8080")}${path}`, options);
}

/** The instance that answers. */
async function answerer(path: string, options: CallOptions = {}, from = caller): Promise<string> {
  const { status, body } = await ask(path, options, from);
  return status === 200 ? (JSON.parse(body) as WebAnswer).instance : String(status);
}

test("without routes, a service answers itself", async () => {
  await eventually(async () => (await answerer("/")) === "reviews");
});

test("an HTTPRoute leads by header, path and weight, redirects, rewrites and fails as it says", async () => {
  await mesh.apply(
    route(
      "HTTPRoute",
      "reviews",
      `[
      {matches: [{headers: [{name: x-canary, value: "yes"}]}], backendRefs: [${to("reviews-v2")}]},
      {matches: [{path: {value: /old}}],
       filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: www.example.com, statusCode: 301,
         path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]},
      {matches: [{path: {value: /api}}], backendRefs: [${to("reviews")}],
       filters: [{type: URLRewrite, urlRewrite: {hostname: api.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}},
         {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: "100%"}], remove: [x-secret]}},
         {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-route, value: api}]}}]},
      {matches: [{path: {value: /split}}], backendRefs: [${to("reviews", ", weight: 3")}, ${to("reviews-v2")}]},
      {matches: [{path: {value: /half}}], backendRefs: [${to("reviews")}, ${to("nobody")}]},
      {matches: [{path: {value: /mirrored}}], backendRefs: [${to("reviews")}],
       filters: [{type: RequestMirror, requestMirror: {backendRef: ${to("reviews-v2")}}}]},
      {matches: [{path: {value: /shared}}], backendRefs: [${to("reviews")}],
       filters: [{type: CORS, cors: {allowOrigins: ["https://*.example.com"], allowMethods: [GET, PUT]}}]},
      {matches: [{path: {value: /session}}], backendRefs: [${to("reviews")}],
       sessionPersistence: {sessionName: stick}},
      {matches: [{path: {type: Exact, value: /}}], backendRefs: [${to("reviews")}]},
    ]`,
    ),
  );
  await eventually(async () => (await answerer("/any", { headers: { "x-canary": "yes" } })) === "reviews-v2");
  expect(await answerer("/")).toBe("reviews");

  const redirected = await ask("/old/shoes?size=42");
  expect(redirected.status).toBe(301);
  expect(redirected.headers.location).toBe("https://www.example.com/new/shoes?size=42");

  const rewritten = await ask("/api/items?x=1", { headers: { "x-secret": "s" } });
  const seen = JSON.parse(rewritten.body) as WebAnswer;
  expect(seen.url).toBe("/items?x=1");
  expect(seen.headers).toMatchObject({ host: "api.example", "x-set": "100%" });
  expect(seen.headers).not.toHaveProperty("x-secret");
  expect(rewritten.headers["x-route"]).toBe("api");
  expect((JSON.parse((await ask("/api")).body) as WebAnswer).url).toBe("/");

  const count = async (path: string): Promise<Map<string, number>> => {
    const counts = new Map<string, number>();
    for (let n = 0; n < 200; n++) {
      const who = await answerer(path);
      counts.set(who, (counts.get(who) ?? 0) + 1);
    }
    return counts;
  };
  // 6 standard deviations.
  const split = await count("/split");
  expect(Math.abs((split.get("reviews-v2") ?? 0) - 50)).toBeLessThan(37);
  expect((split.get("reviews") ?? 0) + (split.get("reviews-v2") ?? 0)).toBe(200);
  const half = await count("/half");
  expect(Math.abs((half.get("500") ?? 0) - 100)).toBeLessThan(43);
  expect((half.get("reviews") ?? 0) + (half.get("500") ?? 0)).toBe(200);

  const served = async (): Promise<number> =>
    (JSON.parse((await ask("/served", { headers: { "x-canary": "yes" } })).body) as WebAnswer).served;
  const before = await served();
  expect(await answerer("/mirrored")).toBe("reviews");
  await eventually(async () => (await served()) > before);

  const origin = "https://shop.example.com";
  const preflight = { origin, "access-control-request-method": "PUT" };
  const shared = await ask("/shared", { method: "OPTIONS", headers: preflight });
  expect(shared.status).toBe(200);
  expect(shared.headers).toMatchObject({
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET,PUT",
    "access-control-max-age": "5",
  });
  const foreign = await ask("/shared", { headers: { origin: "https://example.org" } });
  expect(foreign.headers).not.toHaveProperty("access-control-allow-origin");

  expect((await ask("/session")).headers["set-cookie"]?.join()).toMatch(/^stick="?[\w+/=]+"?;/);

  // What no rule matches has no route: the service's own is replaced.
  expect((await ask("/elsewhere")).status).toBe(404);
}, 30_000);

test("a consumer route holds for callers of its namespace only", async () => {
  expect(await answerer("/", {}, stranger)).toBe("reviews");
  await mesh.apply(
    route("HTTPRoute", "reviews", `[{backendRefs: [${to("reviews-v2")}]}]`, { namespace: "other" }),
  );
  await eventually(async () => (await answerer("/", {}, stranger)) === "reviews-v2");
  expect(await answerer("/elsewhere", {}, stranger)).toBe("reviews-v2");
  expect(await answerer("/")).toBe("reviews");
});

test("a service that nobody has registered exists by its route, for upstreams and by Host", async () => {
  const { status } = await call(`${caller.upstream("front.default:8080")}/`);
  expect(status).toBeGreaterThanOrEqual(400);
  await mesh.apply(route("HTTPRoute", "front", `[{backendRefs: [${to("reviews-v2")}]}]`));
  const instance = async (url: string, options: CallOptions = {}): Promise<string> => {
    const answer = await call(url, options);
    return answer.status === 200 ? (JSON.parse(answer.body) as WebAnswer).instance : String(answer.status);
  };
  await eventually(
    async () => (await instance(`${caller.upstream("front.default:8080")}/`)) === "reviews-v2",
  );
  const byHost = { headers: { host: "front:8080" } };
  expect(await instance(`${urlOf(caller.ready.addresses.outbound)}/`, byHost)).toBe("reviews-v2");
});

test("a GRPCRoute leads calls by method", async () => {
  const { host } = new URL(caller.upstream("who.default:8080"));
  const client = new grpc.Client(host, grpc.credentials.createInsecure());
  const who = (path: string): Promise<string> =>
    new Promise((resolve) => {
      const bytes = (text: string): Buffer => Buffer.from(text);
      const options = { deadline: Date.now() + 10_000 };
      client.makeUnaryRequest(path, bytes, String, "?", options, (error, value) =>
        resolve(error === null ? (value ?? "") : grpc.status[error.code]),
      );
    });
  try {
    await eventually(async () => (await who("/test.Who/Ami")) === "who");
    await mesh.apply(
      route(
        "GRPCRoute",
        "who",
        `[
        {matches: [{method: {service: test.Who, method: ElseIs}}], backendRefs: [${to("who-v2")}]},
        {matches: [{method: {service: test.Who}}], backendRefs: [${to("who")}]},
        {matches: [{method: {service: test.Lost}}], backendRefs: [${to("nobody")}]},
      ]`,
      ),
    );
    await eventually(async () => (await who("/test.Who/ElseIs")) === "who-v2");
    expect(await who("/test.Who/Ami")).toBe("who");
    expect(await who("/test.Lost/Any")).toBe("UNAVAILABLE");
    expect(await who("/test.Other/Any")).toBe("UNIMPLEMENTED");
  } finally {
    client.close();
  }
});

/** All that an upstream says until it closes. */
function hear(upstream: string, servername?: string): Promise<string> {
  const { hostname, port } = new URL(caller.upstream(upstream));
  const at = { host: hostname, port: Number(port) };
  return new Promise((resolve) => {
    let heard = "";
    const socket =
      servername === undefined ? connect(at) : connectTls({ ...at, servername, rejectUnauthorized: false });
    socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(heard));
  });
}

test("a TCPRoute leads connections, by weight, and closes those that have no backend", async () => {
  await eventually(async () => (await hear("db.default:8080")) === "db");
  await mesh.apply(route("TCPRoute", "db", `[{backendRefs: [${to("db-v2")}]}]`));
  await eventually(async () => (await hear("db.default:8080")) === "db-v2");
  await mesh.apply(route("TCPRoute", "db", `[{backendRefs: [${to("nobody")}]}]`));
  await eventually(async () => (await hear("db.default:8080")) === "");
});

test("a TLSRoute leads connections by the name that they ask for", async () => {
  await eventually(async () => (await hear("vault.default:8080", "a.example")) === "vault");
  await mesh.apply(
    route("TLSRoute", "vault", `[{backendRefs: [${to("vault-v2")}]}]`, {
      spec: 'hostnames: [a.example, "*.b.example"]',
    }),
  );
  await eventually(async () => (await hear("vault.default:8080", "a.example")) === "vault-v2");
  expect(await hear("vault.default:8080", "x.b.example")).toBe("vault-v2");
  expect(await hear("vault.default:8080", "c.example")).toBe("");
});

function kubectl(args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, HOME: mesh.directory }, timeout: 20_000 };
    const child = execFile("kubectl", ["--server", mesh.server, ...args], options, (error, out) =>
      error === null ? resolve(out) : reject(error),
    );
    child.stdin?.end(input);
  });
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

test.skipIf(!hasKubectl)(
  "kubectl shows what became of a route (needs kubectl; see scripts/peers.sh)",
  async () => {
    const conditions = async (kind: string, name: string): Promise<readonly Condition[]> => {
      const parents = await kubectl(["get", kind, name, "-o", "jsonpath={.status.parents[0].conditions}"]);
      return JSON.parse(parents === "" ? "[]" : parents) as Condition[];
    };
    const short = (list: readonly Condition[]) =>
      list.map(({ type, status, reason }) => `${type}=${status}/${reason}`);

    expect(short(await conditions("httproute", "reviews"))).toEqual([
      "Accepted=True/Accepted",
      "ResolvedRefs=False/BackendNotFound",
    ]);
    expect(short(await conditions("grpcroute", "who"))).toEqual([
      "Accepted=True/Accepted",
      "ResolvedRefs=False/BackendNotFound",
    ]);
    expect(short(await conditions("tlsroute", "vault"))).toEqual([
      "Accepted=True/Accepted",
      "ResolvedRefs=True/ResolvedRefs",
    ]);
    const wrong = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: wrong}
spec:
  hostnames: [a.example]
  parentRefs: [{kind: Service, group: "", name: gone}]
  rules: [{backendRefs: [{name: reviews, port: 8080}]}]
`;
    expect(await kubectl(["apply", "-f", "-"], wrong)).toContain("created");
    await eventually(async () => (await conditions("httproute", "wrong")).length > 0);
    const [before] = await conditions("httproute", "wrong");
    expect(before).toMatchObject({ type: "Accepted", status: "False", reason: "NoMatchingParent" });
    expect(await kubectl(["get", "httproutes"])).toMatch(
      /NAME +HOSTNAMES +AGE\n(.*\n)*wrong +\["a.example"\] +\d+s/,
    );
    const changed = wrong.replace("port: 8080", "port: 8080, weight: 2");
    expect(await kubectl(["apply", "-f", "-"], changed)).toContain("configured");
    await eventually(async () => (await conditions("httproute", "wrong"))[0]?.observedGeneration === 2);
    const [after] = await conditions("httproute", "wrong");
    expect(after?.lastTransitionTime).toBe(before?.lastTransitionTime);
    const reconciled = '{.status.conditions[?(@.type=="Reconciled")].status}';
    expect(await kubectl(["get", "httproute", "reviews", "-o", `jsonpath=${reconciled}`])).toBe("True");
  },
  30_000,
);
