import { execFile, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";
import { urlOf, type Workload } from "./support/workload.js";

// What users see of configuration that is wrong, that overlaps, and that limits who may call whom.

const hasKubectl = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;
const run = promisify(execFile);

let mesh: Mesh;
let caller: Workload;
let count = 0;

beforeAll(async () => {
  mesh = await Mesh.start();
  const started = await Promise.all([
    mesh.sidecar({ service: "caller", args: ["--label", "app=caller"] }),
    mesh.run({ service: "reviews", name: "reviews-v1", args: ["--version", "v1"] }),
    mesh.run({ service: "ratings" }),
  ]);
  caller = started[0];
  await mesh.apply(ROUTES);
}, 60_000);

afterAll(() => mesh.end());

const ROUTES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - match: [{uri: {prefix: /part}, headers: {x-team: {exact: parts}}}]
      delegate: {name: reviews-part}
    - match: [{uri: {prefix: /teapot}}]
      directResponse: {status: 418}
    - route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews-part}
spec:
  http:
    - match: [{uri: {prefix: /part/a}}]
      directResponse: {status: 208}
    - directResponse: {status: 226}
`;

function ask(host: string, path = "/", headers: Record<string, string> = {}): Promise<Answer> {
  return call(urlOf(caller.ready.addresses.outbound), { target: path, headers: { host, ...headers } });
}

function file(yaml: string): string {
  const path = join(mesh.directory, `objects-${count++}.yaml`);
  writeFileSync(path, yaml);
  return path;
}

/** Runs `tulle` to its end: what it exits with, and all that it says. */
function command(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
  return tulle({
    args,
    environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
    logFile: join(mesh.directory, `command-${count++}.log`),
  });
}

async function kubectl(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
  const own = ["--server", mesh.server, "--cache-dir", join(mesh.directory, "kube-cache")];
  try {
    const { stdout, stderr } = await run("kubectl", [...own, ...args], { env: mesh.environment });
    return { code: 0, output: stdout + stderr };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

const SECOND = ROUTES.split("---")[0]?.replace("{name: reviews}", "{name: reviews-again}") ?? "";
const BAD = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - match: [{uri: {regex: "[[:nope:]]"}}]
      directResponse: {status: 500}
    - route: [{destination: {host: reviews}}]
`;

test("delegates' rules hold where their own and the delegating conditions do", async () => {
  await eventually(async () => (await ask("reviews:8080", "/teapot")).status === 418);
  const parts = { "x-team": "parts" };
  expect((await ask("reviews:8080", "/part/a", parts)).status).toBe(208);
  expect((await ask("reviews:8080", "/part/b", parts)).status).toBe(226);
  expect((await ask("reviews:8080", "/part/a")).status).toBe(200);
  expect((await ask("reviews:8080", "/", parts)).status).toBe(200);
});

test("tulle apply refuses a second object for a host, and nothing changes for callers", async () => {
  const { code, output } = await command("apply", "-f", file(SECOND));
  expect(output).toMatch(
    /reviews-again refused:\n\s+\S+:5:11: spec\.hosts\[0\]: conflicts with VirtualService default\/reviews: /,
  );
  expect(output).toContain("VirtualService default/reviews-again cannot have it");
  expect(code).toBe(1);
  expect((await ask("reviews:8080", "/teapot")).status).toBe(418);
});

test("tulle apply refuses what sidecars would refuse, at the rule, and nothing changes for callers", async () => {
  const { code, output } = await command("apply", "-f", file(BAD));
  expect(output).toMatch(
    /:7:7: spec\.http\[0\]: proxies would refuse reviews\.default\.svc\.cluster\.local:8080: /,
  );
  expect(code).toBe(1);
  expect((await ask("reviews:8080", "/teapot")).status).toBe(418);
  expect((await command("get", "vs", "reviews", "-o", "json")).output).toContain('"generation": 1');
});

test.skipIf(!hasKubectl)("kubectl shows the same refusals", async () => {
  const conflict = await kubectl("apply", "-f", file(SECOND));
  expect(conflict.output).toContain(
    'The VirtualService "reviews-again" is invalid: spec.hosts[0]: conflicts with',
  );
  const bad = await kubectl("apply", "-f", file(BAD));
  expect(bad.output).toContain("spec.http[0]: proxies would refuse");
  expect([conflict.code, bad.code]).toEqual([1, 1]);
  const dry = await kubectl("apply", "--dry-run=server", "-f", file(SECOND));
  expect(dry.code).toBe(1);
});

test("an object that is allowed to conflict is stored; the older holds, and status says so", async () => {
  const annotated = SECOND.replace(
    "{name: reviews-again}",
    '{name: reviews-again, annotations: {tulle.dev/allow-conflict: "true"}}',
  ).replace("418", "500");
  const { code, output } = await command("apply", "-f", file(annotated));
  expect([code, output]).toEqual([
    0,
    expect.stringContaining("warning: spec.hosts[0]: VirtualService default/reviews"),
  ]);
  const { status } = JSON.parse((await command("get", "vs", "reviews-again", "-o", "json")).output);
  expect(status.validationMessages[0]).toMatchObject({ type: { code: "IST0109" }, level: "ERROR" });
  expect((await ask("reviews:8080", "/teapot")).status).toBe(418);
  await command("delete", "vs", "reviews-again");
});

test("the status of an object says which version of what its proxies run", async () => {
  await ask("reviews:8080");
  let status: any;
  await eventually(async () => {
    status = JSON.parse((await command("get", "vs", "reviews", "-o", "json")).output).status;
    return status.conditions[0].status === "True";
  });
  expect(status.observedGeneration).toBe(1);
  expect(status.conditions).toMatchObject([
    { type: "Reconciled", reason: "Synced", message: "1/1 proxies up to date" },
    { type: "Accepted", status: "True" },
  ]);
  expect(status.resources).toContainEqual({
    type: "RouteConfiguration",
    name: "reviews.default.svc.cluster.local:8080",
    version: expect.stringMatching(/^[0-9a-f]+$/),
    synced: 1,
    subscribed: 1,
  });
});

test("a Sidecar hides what it does not list, at once, and brings it back when it goes", async () => {
  expect((await ask("ratings:8080")).status).toBe(200);
  const sidecar = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: caller}
spec:
  workloadSelector: {labels: {app: caller}}
  egress: [{hosts: ["./reviews.default.svc.cluster.local"]}]
`;
  await mesh.apply(sidecar);
  await eventually(async () => (await ask("ratings:8080")).status !== 200);
  expect((await ask("ratings:8080")).status).toBe(404);
  expect((await ask("reviews:8080")).status).toBe(200);
  const described = await command("describe", "service", "ratings", "--label", "app=caller");
  expect(described.output).toContain("They cannot call it: Sidecar default/caller does not list it.");
  await command("delete", "sidecar", "caller");
  await eventually(async () => (await ask("ratings:8080")).status === 200);
});

test("tulle analyze --live finds what applying a file would do to the mesh", async () => {
  const { code, output } = await command(
    "analyze",
    "--live",
    file(SECOND.replace("host: reviews}", "host: reviws}")),
  );
  expect(output).toMatch(
    /Error \[IST0109\] \(VirtualService default\/reviews-again \S+:5:11\) spec\.hosts\[0\]: /,
  );
  expect(output).toContain("there is no service reviws: calls to it fail");
  expect(code).toBe(1);
});
