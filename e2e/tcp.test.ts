import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Connection } from "./support/connection.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Bytes that are nobody's business: databases and servers that speak first, through two sidecars with mutual TLS.

const BANNER = [process.execPath, fileURLToPath(new URL("support/apps/banner.mjs", import.meta.url))];
const OPTIONS = { healthPath: "", args: ["--protocol", "tcp"] };

let mesh: Mesh;

beforeAll(async () => {
  mesh = await Mesh.start();
}, 60_000);

afterAll(() => mesh.end());

/** A command as Redis takes it: https://redis.io/docs/latest/develop/reference/protocol-spec/ */
function resp(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

function hasRedis(): boolean {
  try {
    execFileSync("redis-server", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!hasRedis())(
  "redis-server answers through two sidecars (needs redis-server; see scripts/peers.sh)",
  async () => {
    const directory = mkdtempSync(join(mesh.directory, "redis-"));
    const script = `exec redis-server --port "$PORT" --bind 127.0.0.1 --save "" --appendonly no --dir ${directory}`;
    await mesh.run({ service: "redis", command: ["sh", "-c", script], ...OPTIONS });
    const caller = await mesh.sidecar({ service: "caller", args: ["--upstream", "redis:8080"] });
    await caller.knows(clusterOf("redis"), 1);
    const connection = new Connection(caller, "redis:8080");
    const ask = async (command: string, answer: string): Promise<void> => {
      connection.socket.write(command, "latin1");
      await connection.expect(answer);
    };
    await ask(resp("PING"), "+PONG\r\n");
    await ask(resp("SET", "greeting", "hello"), "+OK\r\n");
    await ask(resp("GET", "greeting"), "$5\r\nhello\r\n");
    const large = "x".repeat(4 * 1024 * 1024);
    await ask(resp("SET", "large", large), "+OK\r\n");
    await ask(resp("GET", "large"), `$${large.length}\r\n${large}\r\n`);
    // Several at once come back in order.
    await ask(resp("PING", "1") + resp("PING", "2"), "$1\r\n1\r\n$1\r\n2\r\n");
    connection.socket.end();
    await eventually(() => connection.closed === "end");
    const metrics = await caller.metrics();
    expect(metrics).toMatch(
      /istio_tcp_connections_closed_total\{reporter="source"[^}]*destination_service="redis\.default[^}]*\} 1/,
    );
    expect(metrics).toContain('destination_principal="spiffe://cluster.local/ns/default/sa/redis"');
  },
  60_000,
);

test("a server that speaks first is heard at once, through mutual TLS alone, and says that it is TCP", async () => {
  const server = await mesh.run({ service: "banner", command: BANNER, ...OPTIONS });
  const caller = await mesh.sidecar({ service: "reader", args: ["--upstream", "banner:8080"] });
  await caller.knows(clusterOf("banner"), 1);
  const started = performance.now();
  const connection = new Connection(caller, "banner:8080");
  await connection.expect("220 banner ready\r\n");
  expect(performance.now() - started).toBeLessThan(3000);
  connection.socket.write("hello\r\n");
  await connection.expect("HELLO\r\n");
  connection.socket.end();
  await connection.expect("221 bye\r\n");
  await eventually(() => connection.closed === "end");
  expect(await server.metrics()).toMatch(
    /istio_tcp_connections_opened_total\{reporter="destination"[^}]*source_principal="spiffe:\/\/cluster.local\/ns\/default\/sa\/reader"[^}]*connection_security_policy="mutual_tls"\} 1/,
  );
  for (const [workload, name] of [
    [server, "inbound"],
    [caller, "upstream banner:8080"],
  ] as const) {
    expect(await workload.admin("/listeners?format=json")).toMatchObject({
      listener_statuses: expect.arrayContaining([
        expect.objectContaining({ name, protocol: "tcp" }),
      ]) as unknown,
    });
  }
}, 60_000);

test("run tells the application where a TCP upstream is", async () => {
  await mesh.run({ service: "told", command: BANNER, ...OPTIONS });
  const script = `
    const url = new URL(process.env.TOLD_URL);
    require("node:net").connect(Number(url.port), url.hostname)
      .once("data", (data) => process.exit(url.protocol === "tcp:" && String(data).startsWith("220") ? 0 : 1))
      .on("error", () => process.exit(2));
  `;
  const launched = mesh.launch({
    service: "asker",
    healthPath: "",
    args: ["--upstream", "told:8080"],
    command: [process.execPath, "-e", script],
  });
  expect(await launched.exited).toBe(0);
}, 60_000);

test("tcp rules split connections by weight, and a change holds for the next one", async () => {
  const started = ["v1", "v2"].map((version) =>
    mesh.run({
      service: "split",
      name: `split-${version}`,
      command: BANNER,
      healthPath: "",
      args: [...OPTIONS.args, "--version", version],
    }),
  );
  const rules = (v1: number, v2: number): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: split}
spec: {host: split, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: split}
spec:
  hosts: [split]
  tcp:
  - route:
    - {destination: {host: split, subset: v1}, weight: ${v1}}
    - {destination: {host: split, subset: v2}, weight: ${v2}}
`;
  await mesh.apply(rules(80, 20));
  await Promise.all(started);
  const caller = await mesh.sidecar({ service: "splitter", args: ["--upstream", "split:8080"] });
  await caller.knows(clusterOf("split", "v2"), 1);
  const banners = async (count: number): Promise<readonly string[]> => {
    const connections = Array.from({ length: count }, () => new Connection(caller, "split:8080"));
    return Promise.all(
      connections.map(async (connection) => {
        const banner = await eventually(() => connection.received.endsWith("\r\n") && connection.received);
        connection.socket.destroy();
        return banner;
      }),
    );
  };
  const toV2 = (await banners(300)).filter((banner) => banner.includes("split-v2")).length;
  expect(toV2).toBeGreaterThan(30);
  expect(toV2).toBeLessThan(90);
  await mesh.apply(rules(0, 100));
  await eventually(async () => (await banners(20)).every((banner) => banner.includes("split-v2")));
}, 60_000);

test("connections go to the other instance as soon as one is killed", async () => {
  const start = (name: string): Promise<Workload> =>
    mesh.run({ service: "pair", name, command: BANNER, ...OPTIONS });
  const [killed] = await Promise.all([start("pair-a"), start("pair-b")]);
  const caller = await mesh.sidecar({ service: "pair-caller", args: ["--upstream", "pair:8080"] });
  await caller.knows(clusterOf("pair"), 2);
  killed.process.kill9();
  await killed.process.exited;
  // No health check has seen it yet.
  for (let i = 0; i < 20; i++) {
    const connection = new Connection(caller, "pair:8080");
    await connection.expect("220 pair-b ready\r\n");
    connection.socket.destroy();
  }
}, 60_000);

test("an instance that leaves lets open connections end and cuts them when its time is over", async () => {
  const drain = [...OPTIONS.args, "--drain", "4s"];
  const leaving = await mesh.run({
    service: "leaving",
    command: BANNER,
    healthPath: "",
    args: drain,
  });
  const caller = await mesh.sidecar({ service: "stayer", args: ["--upstream", "leaving:8080"] });
  await caller.knows(clusterOf("leaving"), 1);
  const [ending, staying] = [new Connection(caller, "leaving:8080"), new Connection(caller, "leaving:8080")];
  for (const each of [ending, staying]) await each.expect("220 leaving ready\r\n");
  leaving.process.signal("SIGTERM");
  await caller.knows(clusterOf("leaving"), 0);
  ending.socket.write("still here");
  await ending.expect("STILL HERE");
  ending.socket.end();
  await ending.expect("221 bye\r\n");
  expect(staying.closed).toBe("");
  // Nobody is there for a new one.
  const late = new Connection(caller, "leaving:8080");
  await eventually(() => late.closed === "ECONNRESET");
  await eventually(() => staying.closed === "ECONNRESET");
  await leaving.process.exited;
}, 60_000);

test("a host that exists by its tcp rules alone is another name for the services that they lead to", async () => {
  await mesh.run({ service: "store", command: BANNER, ...OPTIONS });
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: alias}
spec: {hosts: [store.alias], tcp: [{match: [{port: 9000}], route: [{destination: {host: store, port: {number: 8080}}}]}]}
`);
  const caller = await mesh.sidecar({ service: "customer", args: ["--upstream", "store.alias:9000"] });
  await caller.knows(clusterOf("store"), 1);
  const connection = new Connection(caller, "store.alias:9000");
  await connection.expect("220 store ready\r\n");
  connection.socket.destroy();
}, 30_000);
