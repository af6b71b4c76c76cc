import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer, type CallOptions } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Kuma's policies, applied from files as Kuma's users have them, as callers see them through real sidecars.

const BANNER = [process.execPath, fileURLToPath(new URL("support/apps/banner.mjs", import.meta.url))];

let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  const upstreams = ["reviews:8080", "db:8080"].flatMap((name) => ["--upstream", name]);
  const version = (name: string) => ["--version", name];
  const zone = (name: string) => ["--label", `istio-locality=eu.${name}`];
  const tcp = { healthPath: "", args: ["--protocol", "tcp"], command: BANNER };
  [caller] = await Promise.all([
    mesh.sidecar({ service: "caller", args: [...upstreams, ...zone("a")] }),
    mesh.run({ service: "reviews", name: "reviews-v1", args: version("v1") }),
    mesh.run({ service: "reviews", name: "reviews-v2", args: version("v2") }),
    mesh.run({ service: "ratings", name: "ratings-a", args: zone("a") }),
    mesh.run({ service: "ratings", name: "ratings-b", args: zone("b") }),
    mesh.run({ ...tcp, service: "db" }),
    mesh.run({ ...tcp, service: "db-next" }),
  ]);
  await caller.knows(clusterOf("reviews"), 2);
}, 90_000);

afterAll(() => mesh?.end());

/** `tulle` with a file of policies. */
async function withFile(command: readonly string[], yaml: string): Promise<{ code: number; output: string }> {
  const file = join(mesh.directory, "policies.yaml");
  writeFileSync(file, yaml);
  return mesh.tulle([...command, "-f", file]);
}

async function apply(yaml: string): Promise<void> {
  const { code, output } = await withFile(["apply"], yaml);
  expect(output).toMatch(/created|configured|unchanged/);
  expect(code).toBe(0);
}

function ask(path: string, options: CallOptions = {}): Promise<Answer> {
  return call(`${caller.upstream("reviews:8080")}${path}`, options);
}

const ROUTE = `apiVersion: kuma.io/v1alpha1
kind: MeshHTTPRoute
metadata: {name: reviews, namespace: default, labels: {kuma.io/mesh: default}}
spec:
  to:
  - targetRef: {kind: MeshService, name: reviews}
    rules:
    - matches: [{headers: [{name: x-canary, value: "yes"}]}]
      default:
        backendRefs: [{kind: MeshServiceSubset, name: reviews, tags: {version: v2}}]
    - matches: [{path: {type: PathPrefix, value: /old}}]
      default:
        filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
    - matches: [{path: {type: PathPrefix, value: /stars}}]
      default:
        backendRefs: [{kind: MeshService, name: ratings}]
    - matches: [{}]
      default:
        backendRefs: [{kind: MeshService, labels: {kuma.io/display-name: reviews, version: v1}}]
`;

test("a MeshHTTPRoute leads requests by header, path and version", async () => {
  await apply(ROUTE);
  const by = async (path: string, headers: Record<string, string> = {}) =>
    (await ask(path, { headers })).body;
  await eventually(async () => (await by("/stars/1")).includes("ratings"));
  for (let round = 0; round < 5; round++) {
    expect(await by("/", { "x-canary": "yes" })).toContain("reviews-v2");
    expect(await by("/")).toContain("reviews-v1");
  }
  const moved = await ask("/old/a");
  expect([moved.status, moved.headers["location"]]).toEqual([302, "http://reviews:8080/new/a"]);
});

test("its status says that proxies have it, and explain names its rule", async () => {
  await eventually(async () => {
    const { output } = await mesh.tulle(["get", "meshhttproute", "reviews", "-o", "yaml"]);
    return output.includes("type: Reconciled") && !output.includes("validationMessages");
  });
  const { output } = await mesh.tulle("explain GET http://reviews:8080/stars --from caller".split(" "));
  expect(output).toContain("MeshHTTPRoute default/reviews");
  expect(output).toContain("ratings");
});

test("analysis and explanation take policies as files, with the line of what is wrong", async () => {
  const file = join(mesh.directory, "broken.yaml");
  writeFileSync(
    file,
    ROUTE.replace('name: x-canary, value: "yes"', 'type: RegularExpression, name: x-canary, value: "("'),
  );
  const { output } = await mesh.tulle(["analyze", file]);
  expect(output).toContain("IST0122");
  expect(output).toContain("broken.yaml:8");
  const services = `---
apiVersion: tulle.dev/v1
kind: MeshServices
metadata: {name: shop}
spec: {services: [{name: caller}, {name: ratings, port: 8080}, {name: reviews, port: 8080, versions: [v1, v2]}]}
`;
  const asked = "explain GET http://reviews:8080/stars --from caller".split(" ");
  const explained = await withFile(asked, ROUTE + services);
  expect(explained.output).toContain("policies.yaml:14");
  expect(explained.output).toContain("ratings");
});

test("a MeshTCPRoute in the universal form leads connections", async () => {
  const banner = () =>
    new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(caller.upstream("db:8080"));
      const socket = connect({ host: hostname, port: Number(port) });
      socket.once("data", (data: Buffer) => {
        socket.destroy();
        resolve(data.toString());
      });
      socket.once("error", reject);
    });
  expect(await banner()).toContain("220 db ");
  await apply(`type: MeshTCPRoute
mesh: default
name: db
spec:
  to:
  - targetRef: {kind: MeshService, name: db}
    rules: [{default: {backendRefs: [{kind: MeshService, name: db-next}]}}]
`);
  await eventually(async () => (await banner()).includes("220 db-next "));
});

test("a MeshLoadBalancingStrategy keeps requests in the caller's zone, or lets them go to those that it names", async () => {
  const strategy = (awareness: string) =>
    apply(`apiVersion: kuma.io/v1alpha1
kind: MeshLoadBalancingStrategy
metadata: {name: near}
spec:
  to: [{targetRef: {kind: MeshService, name: ratings}, default: {localityAwareness: ${awareness}}}]
`);
  const answerers = async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 20; round++) seen.add((await ask("/stars")).body.slice(0, 25));
    return seen.size;
  };
  await eventually(async () => (await answerers()) === 2);
  await strategy("{}");
  await eventually(async () => (await answerers()) === 1);
  expect((await ask("/stars")).body).toContain("ratings-a");
  await strategy("{disabled: true}");
  await eventually(async () => (await answerers()) === 2);
});

test("a MeshRateLimit refuses what is too much for a workload, in its own words", async () => {
  await apply(`apiVersion: kuma.io/v1alpha1
kind: MeshRateLimit
metadata: {name: few}
spec:
  targetRef: {kind: MeshService, name: ratings}
  rules:
  - default:
      local:
        http: {requestRate: {num: 3, interval: 1h}, onRateLimit: {status: 503, headers: {set: [{name: x-limited, value: "true"}]}}}
`);
  const refused = await eventually(async () => {
    const answer = await ask("/stars");
    return answer.status === 503 && answer;
  });
  expect(refused.headers["x-limited"]).toBe("true");
  // Others are not limited.
  expect((await ask("/")).status).toBe(200);
});

test("a policy of another mesh is refused, with everything else that is wrong with it", async () => {
  const { code, output } = await withFile(
    ["apply"],
    ROUTE.replace("kuma.io/mesh: default", "kuma.io/mesh: other").replace(
      "matches: [{}]",
      "matches: [{path: {value: x}}]",
    ),
  );
  expect(code).not.toBe(0);
  expect(output).toContain('must be "default": there is one mesh');
  expect(output).toContain("spec.to[0].rules[3].matches[0].path");
});
