// `tulle explain` against what real sidecars do: the same requests, by their ids.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Explanation } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type WebAnswer } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";
import type { Workload } from "./support/workload.js";

const CONFIGURATION = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - name: by-header
    match: [{headers: {version: {exact: v2}}}]
    route: [{destination: {host: web, subset: v2}}]
  - name: moved
    match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - name: half
    rewrite: {uri: /api/}
    route:
    - {destination: {host: web, subset: v1}, weight: 50}
    - {destination: {host: web, subset: v2}, weight: 50}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
`;

const SERVICES = `
apiVersion: tulle.dev/v1
kind: MeshServices
metadata: {name: services}
spec:
  services:
  - name: caller
  - {name: web, port: 8080, versions: [v1, v1, v2, v2]}
`;

const URL = "http://web:8080/x";

let mesh: Mesh;
let caller: Workload;
/** Instances by the address of their sidecars. */
const instances = new Map<string, string>();

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(CONFIGURATION);
  const started = await Promise.all(
    ["v1", "v1", "v2", "v2"].map((version, index) =>
      mesh.run({
        service: "web",
        name: `web-${index}`,
        args: ["--version", version],
        environment: { INSTANCE_ID: `web-${index}` },
      }),
    ),
  );
  for (const { name, ready } of started) {
    const { host, port } = ready.addresses.inbound;
    instances.set(`${host}:${port}`, name);
  }
  caller = await mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] });
  await eventually(async () => (await call(`${caller.upstream("web:8080")}/x`)).status === 200);
  await eventually(async () => {
    const { explanation } = await mesh.client.explain({ from: "caller", method: "GET", url: URL });
    const { endpoints, split } = explanation as Explanation;
    return split.length === 2 && endpoints.length === 2;
  });
}, 60_000);

afterAll(() => mesh?.end());

async function asked(id: string, headers: Record<string, string> = {}): Promise<WebAnswer> {
  const answer = await call(`${caller.upstream("web:8080")}/x`, {
    headers: { "x-request-id": id, ...headers },
  });
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body) as WebAnswer;
}

function endpointOf({ endpoints }: Explanation): string | undefined {
  return instances.get(endpoints.find(({ chosen }) => chosen)?.address ?? "");
}

let runs = 0;

function run(...words: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return tulle({
    args: ["explain", URL, ...words],
    environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
    logFile: join(mesh.directory, `explain-${runs++}.log`),
  });
}

async function explained(...words: readonly string[]): Promise<Explanation> {
  const { code, output } = await run(...words, "-o", "json");
  expect([code, output]).toEqual([0, expect.stringContaining('"version": 1')]);
  return JSON.parse(output) as Explanation;
}

test("explain names version and instance that a request with that id gets", async () => {
  const versions = new Set<string>();
  for (let number = 0; number < 40; number++) {
    const id = `request-${number}`;
    const answer = await asked(id);
    const made = await mesh.client.explain({ from: "caller", method: "GET", url: URL, requestId: id });
    const explanation = made.explanation as Explanation;
    expect({ version: explanation.cluster?.subset, instance: endpointOf(explanation) }).toEqual({
      version: answer.version,
      instance: answer.instance,
    });
    expect(answer.url).toBe(explanation.upstream?.path);
    versions.add(answer.version);
  }
  expect([...versions].sort()).toEqual(["v1", "v2"]);
}, 60_000);

test("the command says the same by way of the control plane, of the sidecar itself, and from files", async () => {
  const answer = await asked("one");
  const { host, port } = caller.ready.addresses.admin;
  const files = join(mesh.directory, "files.yaml");
  writeFileSync(files, `${CONFIGURATION}---${SERVICES}`);
  const id = ["--request-id", "one"];
  const byControl = await explained("--from", "caller", ...id);
  const bySidecar = await explained("--proxy", `http://${host}:${port}`, ...id);
  const offline = await explained("--from", "caller", "-f", files, ...id);
  for (const explanation of [byControl, bySidecar, offline]) {
    expect(explanation.cluster?.subset).toBe(answer.version);
    expect(explanation.route?.owner).toMatchObject({ name: "web", rule: "http[2]" });
  }
  expect([endpointOf(byControl), endpointOf(bySidecar)]).toEqual([answer.instance, answer.instance]);
  expect(byControl.next).toMatchObject({
    direction: "inbound",
    request: { path: "/api/x", principal: "spiffe://cluster.local/ns/default/sa/caller" },
    result: { kind: "forward" },
  });
}, 60_000);

test("explain says which condition a rule failed on, and what a rule answers by itself", async () => {
  const made = await explained("--from", "caller", "-H", "version: v1");
  const routes = made.steps.find(({ step }) => step === "route")?.events ?? [];
  expect(routes.map(({ subject, reason }) => `${subject}: ${reason}`)).toEqual([
    'by-header: header "version" is "v1", not "v2"',
    'moved: path is "/x": it must begin with "/old"',
    "half: it takes every request",
  ]);
  expect((await asked("two", { version: "v2" })).version).toBe("v2");
  const chosen = await explained("--from", "caller", "-H", "version: v2");
  expect([chosen.route?.name, chosen.split]).toEqual(["by-header", []]);
});

test("explain says what to do where nobody can answer", async () => {
  const { code, output } = await run("--from", "nobody");
  expect(code).not.toBe(0);
  expect(output).toContain("there is no service nobody");
});
