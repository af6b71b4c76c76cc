import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { call, type CallOptions } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Who may do what: policies as users write them, through real sidecars.

const BANNER = [process.execPath, fileURLToPath(new URL("support/apps/banner.mjs", import.meta.url))];

let mesh: Mesh;
let accessLog: string;
let web: Workload;
let alice: Workload;
let bob: Workload;
const applied: string[] = [];

beforeAll(async () => {
  mesh = await Mesh.start();
  accessLog = join(mesh.directory, "access.log");
  web = await mesh.run({ service: "web", args: ["--access-log", accessLog] });
  await mesh.run({
    service: "banner",
    command: BANNER,
    healthPath: "",
    args: ["--protocol", "tcp"],
  });
  const upstreams = ["--upstream", "web:8080", "--upstream", "banner:8080"];
  alice = await mesh.run({ service: "alice", args: upstreams });
  bob = await mesh.run({ service: "bob", args: upstreams });
}, 60_000);

afterAll(() => mesh.end());

afterEach(async () => {
  for (const name of applied.splice(0)) await remove(name);
});

async function apply(name: string, spec: string, metadata = ""): Promise<void> {
  applied.push(name);
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}${metadata}}
spec: ${spec}
`);
}

async function remove(name: string): Promise<void> {
  const path = `/apis/security.istio.io/v1/namespaces/default/authorizationpolicies/${name}`;
  const { status } = await call(`${mesh.server}${path}`, { method: "DELETE" });
  expect(status).toBe(200);
}

let runs = 0;

function run(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return tulle({
    args,
    environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
    logFile: join(mesh.directory, `tulle-${runs++}.log`),
  });
}

function logged(part: string): Promise<unknown> {
  return eventually(() => readFileSync(accessLog, "utf8").includes(part));
}

async function ask(caller: Workload, path = "/served", options: CallOptions = {}): Promise<number> {
  return (await call(`${caller.upstream("web:8080")}${path}`, options)).status;
}

/** Waits until a policy has come to everybody whom it concerns. */
function becomes(status: number, caller: Workload, path?: string, options?: CallOptions): Promise<unknown> {
  return eventually(async () => (await ask(caller, path, options)) === status);
}

test("a policy lets in whom it names, and tells the others why not", async () => {
  expect(await ask(bob)).toBe(200);
  await apply(
    "alice-only",
    "{targetRefs: [{kind: Service, name: web}], rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/alice]}}]}]}",
  );
  await becomes(403, bob);
  expect(await ask(alice)).toBe(200);
  const refused = await call(`${bob.upstream("web:8080")}/served`);
  expect(refused.body).toBe("RBAC: access denied");
  expect(await web.metrics()).toContain('envoy_http_rbac_denied{policy="none"}');
  await logged("rbac_access_denied_matched_policy[none]");
  await remove(applied.pop()!);
  await becomes(200, bob);
});

test("a rule that denies comes first, and is told by name", async () => {
  await apply("anybody", "{rules: [{}]}");
  await apply(
    "no-writes",
    "{action: DENY, rules: [{to: [{operation: {methods: [POST], paths: ['/orders/{*}/pay']}}]}]}",
  );
  await becomes(403, alice, "/orders/7/pay", { method: "POST" });
  expect(await ask(alice, "/orders/7/pay")).toBe(200);
  expect(await ask(alice, "/orders/7/8/pay", { method: "POST" })).toBe(200);
  await logged("matched_policy[ns[default]-policy[no-writes]-rule[0]]");
});

test("a dry run is counted and refuses nobody", async () => {
  await apply("dry", "{action: DENY, rules: [{}]}", ", annotations: {istio.io/dry-run: 'true'}");
  await eventually(async () => {
    expect(await ask(alice)).toBe(200);
    return (await web.metrics()).includes(
      'envoy_http_rbac_shadow_denied{policy="ns[default]-policy[dry]-rule[0]"}',
    );
  });
});

test("connections that carry bytes are let in or closed, and those that are open are closed when a policy comes", async () => {
  const { hostname, port } = new URL(alice.upstream("banner:8080"));
  const open = connect({ host: hostname, port: Number(port) });
  let closed = false;
  open.on("error", () => undefined);
  open.on("close", () => (closed = true));
  await new Promise((resolve) => open.once("data", resolve));
  await apply("closed", "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}");
  await eventually(() => closed);
  const banner = (): Promise<string> =>
    new Promise((resolve) => {
      let text = "";
      const socket = connect({ host: hostname, port: Number(port) });
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
        socket.destroy();
      });
      socket.on("error", () => undefined);
      socket.once("close", () => resolve(text));
    });
  expect(await banner()).toBe("");
  await remove(applied.pop()!);
  await eventually(async () => (await banner()) !== "");
});

test("what was observed becomes a policy that allows it, and nothing else", async () => {
  expect((await run("policy", "observe")).output).toContain("sidecars observe");
  expect(await ask(alice, "/orders/1234")).toBe(200);
  expect(await ask(alice, "/orders/98765?x=y")).toBe(200);
  const printed = await run("policy", "suggest", "--service", "web");
  expect(printed.output).toContain("/orders/{*}");
  expect(printed.output).toContain("cluster.local/ns/default/sa/alice");
  applied.push("web-observed");
  const { code, output } = await run("policy", "suggest", "--service", "web", "--apply");
  expect([code, output]).toEqual([0, expect.stringContaining("authorizationpolicy/web-observed created")]);
  await becomes(403, bob, "/orders/1234");
  expect(await ask(alice, "/orders/5555")).toBe(200);
  expect(await ask(alice, "/orders/5555", { method: "POST" })).toBe(403);
  expect((await run("policy", "suggest", "--service", "web", "--diff")).output).toContain(
    "AuthorizationPolicy default/web-observed: as it is",
  );
  await run("policy", "observe", "--stop");
});

test("an access list is one command", async () => {
  applied.push("web-deny");
  await run("policy", "deny", "--to", "web", "--from", "bob", "--apply");
  await becomes(403, bob);
  expect(await ask(alice)).toBe(200);
  const story = await call(`${bob.upstream("web:8080")}/served`);
  const why = await run("why", String(story.headers["x-request-id"]));
  expect(why.output).toContain("AuthorizationPolicy default/web-deny rules[0] denies the request");
});

test("a policy that cannot be meant is refused with its field", async () => {
  await expect(apply("wrong", "{action: DENY}")).rejects.toThrow(/spec\.rules: must have at least one rule/);
  applied.pop();
});

test("what was observed outlives the sidecar that observed it, and the control plane", async () => {
  const shop = await mesh.run({ service: "shop" });
  const buyer = await mesh.sidecar({ service: "buyer", args: ["--upstream", "shop:8080"] });
  await buyer.knows(clusterOf("shop"), 1);
  await run("policy", "observe");
  expect((await call(`${buyer.upstream("shop:8080")}/carts/77`)).status).toBe(200);
  const before = await run("policy", "suggest", "--service", "shop");
  expect(before.output).toContain("cluster.local/ns/default/sa/buyer");
  await shop.process.stop();
  mesh.control.kill9();
  await mesh.startControlPlane();
  const after = await run("policy", "suggest", "--service", "shop");
  expect(after.output).toContain("cluster.local/ns/default/sa/buyer");
  expect(after.output).toContain("/carts/");
  await eventually(async () => (await run("policy", "observe", "--stop")).code === 0);
  expect((await run("policy", "suggest", "--service", "shop")).output).not.toContain("/carts/");
}, 60_000);
