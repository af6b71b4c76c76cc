import { fileURLToPath } from "node:url";

import { createClient } from "@tulle/client";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { watchObjects } from "../resources/watch-objects.js";
import { golden, startHarness, StandingClock, type CliHarness } from "./testdata/harness.js";

const SHOP = fileURLToPath(new URL("./testdata/shop.yaml", import.meta.url));
const SECRET = `apiVersion: v1
kind: Secret
metadata: {name: shop-tls, annotations: {note: "a\\u001b[2Jb"}}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
`;

let mesh: CliHarness;

// One mesh for all of these: they read only.
beforeAll(async () => {
  mesh = await startHarness();
  await mesh.tulle(["apply", "-f", SHOP, "-f", "-"], { stdin: SECRET });
  const { registry } = createClient({ server: mesh.server });
  const instance = (id: string, version: string) => ({
    ID: id,
    Name: "reviews",
    Address: "127.0.0.1",
    Port: 9080,
    Tags: [version],
    Meta: { version },
    TaggedAddresses: { mesh: { Address: "127.0.0.1", Port: 15_006 } },
    Check: { TTL: "1h", Status: "passing" as const },
  });
  await registry.register(instance("reviews-1", "v1"));
  await registry.register({ ...instance("reviews-2", "v2"), Check: { TTL: "1h", Status: "critical" } });
  await registry.register(instance("reviews-3", "v2"));
  await registry.maintenance("reviews-3", true, { reason: "new disk" });
  await registry.register({ ID: "db", Name: "db", Namespace: "shop", Address: "::1", Port: 5432 });
  const [event] =
    (await mesh.tulle(["get", "vs", "reviews", "-o", "json"])).out.match(/"uid": "([^"]+)"/)?.slice(1) ?? [];
  const record = `apiVersion: v1
kind: Event
metadata: {name: reviews.1}
involvedObject: {kind: VirtualService, name: reviews, namespace: default, uid: "${event}"}
reason: Accepted
message: "all proxies run it\\e[31m"
type: Normal
lastTimestamp: 2026-03-01T12:02:00Z
source: {component: test}
`;
  expect((await mesh.tulle(["apply", "-f", "-"], { stdin: record })).err).toBe("");
  mesh.clock.pass(5 * 60_000);
});

afterAll(() => mesh.close());

test.each([
  ["get-table", ["get", "virtualservices"]],
  ["get-wide", ["get", "vs", "-o", "wide"]],
  ["get-several", ["get", "vs,dr,ns", "-A"]],
  ["get-json", ["get", "dr", "reviews", "-o", "json"]],
  ["get-yaml", ["get", "vs", "-o", "yaml"]],
  ["get-name", ["get", "istio-io", "-A", "-o", "name"]],
  ["get-services", ["get", "services", "-A"]],
  ["get-services-wide", ["get", "svc", "-o", "wide"]],
  ["get-instances", ["get", "instances"]],
  ["get-instances-wide", ["get", "inst", "-A", "-o", "wide"]],
  ["get-instances-json", ["get", "inst", "reviews-2", "-o", "json"]],
  ["get-secret-yaml", ["get", "secret", "shop-tls", "-o", "yaml"]],
  ["get-events", ["get", "events"]],
  ["describe", ["describe", "virtualservice", "reviews"]],
  ["describe-several", ["describe", "secret/shop-tls", "ns/shop"]],
  ["status-empty", ["status"]],
])("tulle prints %s as the golden file has it", async (name, argv) => {
  const run = await mesh.tulle(argv);
  const { actual, expected } = golden(name, run.out);
  expect(actual).toBe(expected);
  expect([run.code, run.err]).toEqual([0, ""]);
});

test("tulle get prints what is there and exits 4 when a name is not", async () => {
  const run = await mesh.tulle(["get", "vs", "reviews", "missing", "-o", "name"]);
  expect(run).toEqual({
    code: 4,
    out: "virtualservice.networking.istio.io/reviews\n",
    err: 'tulle: virtualservices.networking.istio.io "missing" not found\n',
  });
  const instances = await mesh.tulle(["get", "instances", "reviews", "nobody", "-o", "name"]);
  expect(instances.code).toBe(4);
  expect(instances.out).toBe("instance/reviews-1\ninstance/reviews-2\ninstance/reviews-3\n");
  expect(instances.err).toBe('tulle: instance or service "nobody" not found in namespace default\n');
});

test("tulle get says on stderr where nothing is, and keeps stdout for programs", async () => {
  const none = await mesh.tulle(["get", "se,px", "-n", "shop"]);
  expect(none).toEqual({
    code: 0,
    out: "",
    err: "No serviceentries, proxies found in namespace shop; -A looks in all.\n",
  });
  const json = await mesh.tulle(["get", "serviceentries", "-o", "json"]);
  expect([JSON.parse(json.out), json.err]).toEqual([{ apiVersion: "v1", kind: "List", items: [] }, ""]);
});

test("tulle get -l selects by labels", async () => {
  expect((await mesh.tulle(["get", "vs", "-l", "team=shop", "-o", "name"])).out).toContain("/reviews");
  expect((await mesh.tulle(["get", "vs", "-l", "team!=shop", "-o", "name"])).out).toBe("");
});

test("tulle get -A tells of instances in namespaces that nothing names", async () => {
  const { registry } = createClient({ server: mesh.server });
  await registry.register({ ID: "lost", Name: "lost", Namespace: "nowhere", Address: "127.0.0.1", Port: 1 });
  const { err } = await mesh.tulle(["get", "services", "-A"]);
  expect(err).toContain(
    "tulle: warning: 1 more instances are in namespaces that no object and no identity names",
  );
  await registry.deregister("lost", { namespace: "nowhere" });
});

test("tulle get colours states on terminals only", async () => {
  const plain = await mesh.tulle(["get", "instances"]);
  const coloured = await mesh.tulle(["get", "instances"], { colors: true });
  expect(coloured.out).toContain("\u001b[31mcritical\u001b[39m");
  // oxlint-disable-next-line no-control-regex -- colour sequences begin with ESC
  expect(coloured.out.replaceAll(/\u001b\[\d+m/g, "")).toBe(plain.out);
});

test("tulle get -w prints what is there, then every change in the same columns", async () => {
  const { server } = mesh;
  const client = createClient({ server });
  const { KINDS } = await import("@tulle/api");
  const kind = KINDS.find(({ plural }) => plural === "namespaces")!;
  const controller = new AbortController();
  let out = "";
  const clock = new StandingClock();
  clock.pass(5 * 60_000);
  const watching = watchObjects(
    client,
    { kind, namespace: undefined, name: "late", output: "table", signal: controller.signal },
    {
      environment: {},
      out: (text) => void (out += text),
      err: () => undefined,
      stdin: async () => "",
      colors: false,
      clock,
      random: () => 0,
    },
  );
  await eventually(() => out.includes("NAME"));
  await client.resources.apply(kind, { metadata: { name: "late" } });
  await client.resources.apply(kind, { metadata: { name: "other" } });
  await eventually(() => out.includes("ADDED"));
  await client.resources.apply(kind, { metadata: { name: "late", labels: { a: "b" } } });
  await client.resources.delete(kind, { name: "late" });
  await eventually(() => out.includes("DELETED"));
  controller.abort();
  await watching;
  expect(out.split("\n").map((line) => line.split(/ {3,}/).slice(0, 2).join(" "))).toEqual([
    "EVENT NAME",
    "ADDED late",
    "MODIFIED late",
    "DELETED late",
    "",
  ]);
});

test.each([
  [["get"], "missing required argument"],
  [["get", "nonsense"], "unknown kind nonsense"],
  [["get", "vs", "-n", "a", "-A"], "give -n or -A, not both"],
  [["get", "vs", "a", "-A"], "a name is one in a namespace"],
  [["get", "vs", "a", "-l", "b=c"], "give names or -l, not both"],
  [["get", "services", "-l", "b=c"], "-l selects objects"],
  [["get", "vs,dr", "-w"], "-w watches the objects of one kind"],
  [["get", "px", "-w"], "-w watches the objects of one kind"],
  [["get", "vs", "-o", "toml"], "Allowed choices are table, wide, json, yaml, name"],
  [["get", "vs/a", "b"], '"b" is not KIND/NAME'],
  [["describe", "vs"], "say which of the virtualservices"],
  [["describe", "nonsense", "a"], "unknown kind nonsense"],
])("tulle %j is wrong usage", async (argv, message) => {
  const run = await mesh.tulle(argv);
  expect(run.err).toContain(message);
  expect([run.code, run.out]).toEqual([2, ""]);
});

test("tulle describe shows what is there and exits 4 for what is not", async () => {
  const run = await mesh.tulle(["describe", "vs", "missing", "reviews"]);
  expect(run.code).toBe(4);
  expect(run.out).toMatch(/^Name:\s+reviews$/m);
  expect(run.err).toBe('tulle: virtualservices.networking.istio.io "missing" not found\n');
});
