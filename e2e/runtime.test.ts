import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";
import { urlOf, type Workload } from "./support/workload.js";

// Shares of requests that change without a new version of the routes: feature flags.

const hasKubectl = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;
const run = promisify(execFile);

let mesh: Mesh;
let caller: Workload;
let threaded: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  [caller, threaded] = await Promise.all([
    mesh.sidecar({ service: "caller" }),
    mesh.sidecar({ service: "threaded", args: ["--workers", "2"] }),
    mesh.run({ service: "reviews", name: "reviews-v1", args: ["--version", "v1"] }),
  ]);
  await mesh.apply(ROUTES);
}, 60_000);

afterAll(() => mesh.end());

const ROUTES = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  annotations: {tulle.dev/runtime-keys: "new=reviews.new:0"}
spec:
  hosts: [reviews]
  http:
    - name: new
      directResponse: {status: 226}
    - name: old
      route: [{destination: {host: reviews}}]
---
apiVersion: tulle.dev/v1
kind: Runtime
metadata: {name: flags}
spec: {values: {}}
`;

/** Of so many requests, how many percent the new rule takes. */
async function share(count = 200, from = caller): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: count }, () =>
      call(urlOf(from.ready.addresses.outbound), { headers: { host: "reviews:8080" } }),
    ),
  );
  return (100 * answers.filter(({ status }) => status === 226).length) / count;
}

async function patch(values: string): Promise<void> {
  const own = ["--server", mesh.server, "--cache-dir", join(mesh.directory, "kube-cache")];
  const args = ["patch", "runtime", "flags", "--type=merge", "-p", `{"spec":{"values":${values}}}`];
  await run("kubectl", [...own, ...args], { env: mesh.environment });
}

test.skipIf(!hasKubectl)(
  "kubectl patch runtime changes the share within a second, and the routes stay",
  async () => {
    const { admin } = caller.ready.addresses;
    const routes = async (): Promise<string> => {
      const { body } = await call(`http://${admin.host}:${admin.port}/config_dump`);
      return JSON.stringify(
        JSON.parse(body).configs.filter((one: object) => JSON.stringify(one).includes("RoutesConfigDump")),
      );
    };
    await eventually(async () => (await share(20)) + (await share(20, threaded)) === 0);
    const before = await routes();
    await patch('{"reviews.new": 100}');
    const changed = performance.now();
    await eventually(async () => (await share(5)) === 100);
    expect(performance.now() - changed).toBeLessThan(1_000);
    await eventually(async () => (await share(20, threaded)) === 100);

    await patch('{"reviews.new": {"numerator": 3000, "denominator": "TEN_THOUSAND"}}');
    await eventually(async () => Math.abs((await share()) - 30) < 12);
    const explained = await tulle({
      args: ["explain", "GET", "http://reviews:8080/", "--from", "caller"],
      environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
      logFile: join(mesh.directory, "explain.log"),
    });
    expect(explained.output).toMatch(/30 % of requests.*\(runtime key reviews\.new\)/);

    await patch('{"reviews.new": null}');
    await eventually(async () => (await share(20)) === 0);
    expect(await routes()).toBe(before);
  },
);
