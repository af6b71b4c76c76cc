import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { register, Servers } from "./support/servers.js";
import { clusterOf, type Workload } from "./support/workload.js";

// A HealthCheck has the sidecars of callers ask the endpoints of a service, over what the mesh puts around them.

const SERVICES = ["web", "db", "chat", "meshed", "rate", "cache"] as const;
const servers = new Servers();
const sockets = new Set<Socket>();
let mesh: Mesh;
let caller: Workload;
let healthLog: string;

beforeAll(async () => {
  mesh = await Mesh.start();
  const upstreams = SERVICES.flatMap((service) => ["--upstream", `${service}:8080`]);
  healthLog = join(mesh.directory, "health.log");
  caller = await mesh.sidecar({ service: "caller", args: [...upstreams, "--health-log", healthLog] });
}, 60_000);

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  servers.close();
  await mesh.end();
});

function check(host: string, spec: string): Promise<void> {
  return mesh.apply(`
apiVersion: tulle.dev/v1
kind: HealthCheck
metadata: {name: ${host}}
spec: {host: ${host}, interval: 100ms, noTrafficInterval: 100ms, ${spec}}
`);
}

interface Host {
  readonly health_status: {
    readonly failed_active_health_check?: boolean;
    readonly failed_outlier_check?: boolean;
  };
  readonly failed_check?: { readonly reason: string };
  readonly address: { readonly socket_address: { readonly port_value: number } };
}

async function hosts(service: string): Promise<readonly Host[]> {
  const { cluster_statuses } = (await caller.admin("/clusters?format=json")) as {
    readonly cluster_statuses: readonly { readonly name: string; readonly host_statuses: readonly Host[] }[];
  };
  return cluster_statuses.find(({ name }) => name === clusterOf(service))?.host_statuses ?? [];
}

/** Why the checks of a service's endpoints fail. */
async function failures(service: string): Promise<readonly string[]> {
  return (await hosts(service)).flatMap(({ failed_check }) => (failed_check ? [failed_check.reason] : []));
}

const attempts = async (service: string): Promise<number> => {
  const pattern = new RegExp(`health_check_attempt\\{[^}]*\\|${service}\\.[^}]*\\} (\\d+)`);
  return Number(pattern.exec(await caller.metrics())?.[1] ?? 0);
};

test.skipIf(spawnSync("redis-server", ["--version"]).error !== undefined)(
  "redis: a redis-server in the mesh is well as long as it has not the key for maintenance (needs redis-server; see scripts/peers.sh)",
  async () => {
    const directory = mkdtempSync(join(mesh.directory, "redis-"));
    const script = `exec redis-server --port "$PORT" --bind 127.0.0.1 --save "" --appendonly no --dir ${directory}`;
    await mesh.run({
      service: "cache",
      command: ["sh", "-c", script],
      args: ["--protocol", "tcp"],
      healthPath: "",
    });
    await caller.knows(clusterOf("cache"), 1);
    await check("cache", "redis: {key: maintenance}");
    await eventually(async () => (await attempts("cache")) > 2);
    expect(await failures("cache")).toEqual([]);
    const { hostname, port } = new URL(caller.upstream("cache:8080"));
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    sockets.add(socket);
    socket.write("SET maintenance yes\r\n");
    await eventually(async () => (await failures("cache")).join() === "it has the key maintenance");
    socket.write("DEL maintenance\r\n");
    await eventually(async () => (await failures("cache")).length === 0);
  },
  60_000,
);

test("http: an instance whose check fails gets no calls until it passes", async () => {
  let well = false;
  const sick = await servers.http((request, response) => {
    response.statusCode = request.url === "/healthz" && !well ? 503 : 200;
    response.end("sick");
  });
  const fine = await servers.http((_request, response) => response.end("fine"));
  await register(mesh, "web", [sick, fine]);
  await caller.knows(clusterOf("web"), 2);
  await check("web", "http: {path: /healthz}");
  await eventually(async () => (await failures("web")).length === 1);
  expect(await failures("web")).toEqual(["it answered 503"]);
  for (let i = 0; i < 20; i++) expect((await call(caller.upstream("web:8080"))).body).toBe("fine");
  well = true;
  await eventually(async () => (await call(caller.upstream("web:8080"))).body === "sick");
  expect(caller.process.output).toContain("endpoint is unhealthy");
  expect(caller.process.output).toContain("endpoint is healthy again");
  const told = (event: string) =>
    eventually(() =>
      readFileSync(healthLog, "utf8")
        .split("\n")
        .some((line) => line.includes(`"port_value":${sick}`) && line.includes(event)),
    );
  await told('"eject_unhealthy_event":{"failure_type":"ACTIVE"}');
  await told('"add_healthy_event":{"first_check":false}');
}, 30_000);

test("tcp: an instance that does not say what is expected is unhealthy until it does", async () => {
  let answer = "-LOADING\r\n";
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await register(mesh, "db", [(server.address() as AddressInfo).port], "tcp");
  await caller.knows(clusterOf("db"), 1);
  await check("db", 'timeout: 200ms, tcp: {send: "PING\\r\\n", receive: ["+PONG"]}');
  await eventually(async () => (await failures("db"))[0] === "there was no answer within 200 ms");
  answer = "+PONG\r\n";
  await eventually(async () => (await failures("db")).length === 0);
  server.close();
}, 30_000);

test("grpc: the status of grpc.health.v1 decides", async () => {
  let status = 2;
  const server = new grpc.Server();
  const method = {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => ({ bytes }),
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  } as const;
  server.addService(
    { check: method },
    {
      check: (_call: unknown, done: (error: null, bytes: Buffer) => void) =>
        done(null, Buffer.of(0x08, status)),
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  await register(mesh, "chat", [port], "grpc");
  await caller.knows(clusterOf("chat"), 1);
  await check("chat", "grpc: {service: chat}");
  await eventually(async () => (await failures("chat"))[0] === "its status is NOT_SERVING");
  status = 1;
  await eventually(async () => (await failures("chat")).length === 0);
  server.forceShutdown();
}, 30_000);

test("an application behind its sidecar is asked over mutual TLS", async () => {
  const workload = await mesh.run({ service: "meshed" });
  await caller.knows(clusterOf("meshed"), 1);
  await check("meshed", "http: {path: /health}");
  const before = await attempts("meshed");
  await eventually(async () => (await attempts("meshed")) > before + 3);
  expect(await failures("meshed")).toEqual([]);
  await check("meshed", "http: {path: /health, expectedStatuses: [418]}");
  await eventually(async () => (await failures("meshed"))[0] === "it answered 200");
  await workload.process.stop();
}, 30_000);

test("passive: an instance that fails more than 10 % of its calls in an interval is ejected", async () => {
  let calls = 0;
  const flaky = await servers.http((_request, response) => {
    response.statusCode = ++calls % 5 === 0 ? 500 : 200;
    response.end();
  });
  const fine = await servers.http((_request, response) => response.end());
  await register(mesh, "rate", [flaky, fine]);
  await caller.knows(clusterOf("rate"), 2);
  await mesh.apply(`
apiVersion: tulle.dev/v1
kind: HealthCheck
metadata: {name: rate}
spec:
  host: rate
  passive: {interval: 1s, baseEjectionTime: 60s, failurePercentage: {threshold: 10}}
`);
  await eventually(async () => {
    await Promise.all(Array.from({ length: 20 }, () => call(caller.upstream("rate:8080"))));
    const ejected = (await hosts("rate")).filter(
      ({ health_status }) => health_status.failed_outlier_check === true,
    );
    return ejected.length === 1 && ejected[0]!.address.socket_address.port_value === flaky;
  });
  expect(caller.process.output).toMatch(/endpoint ejected .*% of \d+ requests failed, 10 % make an outlier/);
}, 30_000);

test("a wrong HealthCheck is refused with every violation, and get shows what there is", async () => {
  await expect(check("web", "http: {path: nope}, unhealthyThreshold: 0")).rejects.toThrow(/spec\.http\.path/);
  const list = await call(`${mesh.server}/apis/tulle.dev/v1/healthchecks`);
  expect(list.status).toBe(200);
  expect(list.body).toContain('"name":"chat"');
});
