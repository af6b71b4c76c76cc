import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { pause } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import type { Workload } from "./support/workload.js";

// Applications that listen and call on Unix sockets, with two sidecars and mutual TLS between them.

const APP = [process.execPath, fileURLToPath(new URL("support/apps/unix.mjs", import.meta.url))];
const run = promisify(execFile);

let mesh: Mesh;
let web: Workload;
let caller: Workload;
let socket: string;

beforeAll(async () => {
  mesh = await Mesh.start();
  socket = join(mesh.directory, "web.sock");
  web = await mesh.run({
    service: "web",
    command: APP,
    environment: { SOCKET: join(mesh.directory, "app.sock") },
  });
  caller = await mesh.sidecar({ service: "caller", args: ["--upstream", `web:8080=unix:${socket}`] });
}, 60_000);

afterAll(() => mesh.end());

async function ask(path: string): Promise<string> {
  const args = ["--silent", "--max-time", "5", "--unix-socket", socket, `http://web${path}`];
  return (await run("curl", args)).stdout;
}

test("an upstream is called on a Unix socket that its owner alone may use", async () => {
  await eventually(async () => (await ask("/first")) === "port /first");
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  expect(caller.ready.addresses.upstreams).toEqual([{ name: "web:8080", host: socket, port: 0 }]);
});

test("a Sidecar leads what comes for a port to the application's Unix socket", async () => {
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: web}
spec:
  ingress:
    - port: {number: ${web.ready.appPort}, protocol: HTTP, name: http}
      defaultEndpoint: unix://${join(mesh.directory, "app.sock")}
`);
  await eventually(async () => (await ask("/second")) === "socket /second");
  expect(JSON.stringify(await web.admin("/clusters?format=json"))).toContain('"pipe"');
});

test("a successor goes on at the same socket", async () => {
  caller.process.signal("SIGUSR2");
  await eventually(() => caller.process.output.includes("has taken over"));
  // The former one listens no more after a second.
  await pause(1500);
  expect(await ask("/third")).toBe("socket /third");
  expect(statSync(socket).mode & 0o777).toBe(0o600);
});

test("the socket goes with its sidecar", async () => {
  await caller.process.stop();
  await eventually(() => !existsSync(socket));
});
