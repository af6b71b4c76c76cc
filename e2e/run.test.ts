import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { freePort } from "../packages/cli/src/launcher/free-port.js";
import { askWeb } from "./support/http.js";
import { Mesh, WEB } from "./support/mesh.js";
import { clusterOf } from "./support/workload.js";
import { tulle } from "./support/tulle-process.js";

// What an application and whoever starts it see of `tulle run`.

let mesh: Mesh;

beforeAll(async () => {
  mesh = await Mesh.start();
}, 60_000);

afterAll(() => mesh.end());

let count = 0;

/** Runs `tulle run` of a client, whose application is a script, to its end. */
function run(
  options: readonly string[],
  command: readonly string[],
  server = mesh.server,
): Promise<{ readonly code: number; readonly output: string }> {
  const name = `client-${count++}`;
  const own = [
    "--service",
    "client",
    "--instance-id",
    name,
    "--state-dir",
    join(mesh.directory, "state", name),
  ];
  return tulle({
    args: ["run", ...own, ...options, "--", ...command],
    environment: { ...mesh.environment, TULLE_SERVER: server },
    logFile: join(mesh.directory, `${name}.log`),
  });
}

const node = (script: string): readonly string[] => [process.execPath, "-e", script];

test.each([0, 1, 42])("run ends with the application's exit code %i", async (code) => {
  expect((await run([], node(`process.exit(${code})`))).code).toBe(code);
});

test("run ends with 128 + the number of the signal that ended the application", async () => {
  expect((await run([], node(`process.kill(process.pid, "SIGKILL")`))).code).toBe(128 + 9);
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "run ends the application when it gets %s itself",
  async (signal) => {
    const workload = await mesh.run({ service: "ended", environment: { EXIT_CODE: "5" } });
    workload.process.signal(signal);
    expect(await workload.process.exited).toBe(5);
    expect(existsSync(`/proc/${workload.ready.appPid}`)).toBe(false);
    expect(await mesh.client.registry.health("ended")).toEqual([]);
  },
);

test("run tells the application its port, its name and where its upstreams are", async () => {
  const file = join(mesh.directory, "environment.json");
  const script = `
    require("node:fs").writeFileSync(${JSON.stringify(file)}, JSON.stringify(process.env));
    require("node:http").createServer((_, answer) => answer.end()).listen(Number(process.env.PORT), "127.0.0.1");
  `;
  const workload = await mesh.run({
    service: "told",
    name: "told-1",
    args: ["--version", "v3", "--upstream", "reviews:9080", "--upstream", "message-service.shop:7000"],
    environment: { OF_THE_USER: "kept" },
    command: node(script),
  });
  const told = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  const url = workload.upstream("reviews:9080");
  expect(told).toMatchObject({
    PORT: String(workload.ready.appPort),
    SERVICE_NAME: "told",
    SERVICE_NAMESPACE: "default",
    SERVICE_VERSION: "v3",
    INSTANCE_ID: "told-1",
    REVIEWS_URL: url,
    REVIEWS_SERVICE_HOST: "127.0.0.1",
    REVIEWS_SERVICE_PORT: new URL(url).port,
    MESSAGE_SERVICE_URL: workload.upstream("message-service.shop:7000"),
    OF_THE_USER: "kept",
  });
  expect(Number(told["PORT"])).toBeGreaterThan(0);
});

test("run starts the application when its sidecar can serve: its first request succeeds", async () => {
  const web = await mesh.run({ service: "first" });
  // Ends with 0 only if the very first thing that it does, a request through the mesh, is answered.
  const script = `
    require("node:http").get(process.env.FIRST_URL, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1))
      .on("error", () => process.exit(2));
  `;
  for (let i = 0; i < 3; i++) expect((await run(["--upstream", "first:8080"], node(script))).code).toBe(0);
  const { served } = await askWeb(`http://127.0.0.1:${web.ready.appPort}/served`);
  expect(served).toBe(3);
}, 60_000);

test("run fails with 3 and says what to do when there is no control plane, and does not start the application", async () => {
  const file = join(mesh.directory, "started");
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  const script = `require("node:fs").writeFileSync(${JSON.stringify(file)}, "")`;
  const { code, output } = await run([], node(script), nowhere);
  expect(code).toBe(3);
  expect(output).toContain(nowhere);
  expect(output).toContain("tulle up");
  expect(output.trim().split("\n")).toHaveLength(1);
  expect(existsSync(file)).toBe(false);
});

test("run names a program that does not exist, and leaves no registration", async () => {
  const { code, output } = await run(["--port", "0"], ["no-such-program-anywhere"]);
  expect(code).toBe(4);
  expect(output).toContain("no-such-program-anywhere");
  expect(await mesh.client.registry.health("client")).toEqual([]);
});

test.each([
  ["without a service", ["run", "--", "true"], "--service"],
  ["without a command", ["run", "--service", "x"], "command"],
  ["with an unknown option", ["run", "--service", "x", "--bogus", "--", "true"], "--bogus"],
  ["with a bad port", ["run", "--service", "x", "--port", "http", "--", "true"], "--port"],
  [
    "with a service port alone",
    ["run", "--service", "x", "--service-port", "80", "--", "true"],
    "--service-port",
  ],
  ["with a bad service name", ["run", "--service", "Not_A_Name", "--", "true"], "Not_A_Name"],
  ["with a bad duration", ["run", "--service", "x", "--drain", "soon", "--", "true"], "--drain"],
])("run %s fails with 2 and says what is wrong", async (_case, args, named) => {
  const { code, output } = await tulle({
    args,
    environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
    logFile: join(mesh.directory, `usage-${count++}.log`),
  });
  expect(output).toContain(named);
  expect(code).toBe(2);
});

test("run registers an instance whose application takes its time, once it listens", async () => {
  const [, ...web] = WEB;
  const script = `setTimeout(() => import(${JSON.stringify(web[0])}), 1500)`;
  const started = performance.now();
  const workload = await mesh.run({ service: "slow", command: node(script) });
  expect(performance.now() - started).toBeGreaterThan(1500);
  const caller = await mesh.sidecar({ service: "caller", args: ["--upstream", "slow:8080"] });
  await caller.knows(clusterOf("slow"), 1);
  const answer = await eventually(() => askWeb(caller.upstream("slow:8080")));
  expect(answer.instance).toBe(workload.name);
}, 60_000);
