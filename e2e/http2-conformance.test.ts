import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

import { askWeb } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { controlPlaneOf, joinToken, svidOf } from "./support/svid.js";
import { urlOf, type Address, type Workload } from "./support/workload.js";

// The 147 strict cases of h2spec, at every door where a sidecar speaks HTTP/2 with somebody.

const SUITE = fileURLToPath(new URL("../conformance/h2/run.mjs", import.meta.url));
const AUTHORITY = "web:8080";

let mesh: Mesh;
let web: Workload;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  web = await mesh.run({ service: "web" });
  caller = await mesh.sidecar({ service: "caller", args: ["--upstream", AUTHORITY] });
  await askWeb(caller.upstream(AUTHORITY));
}, 60_000);

afterAll(() => mesh.end());

// With time between them, the application has answered what one frame asks before the next comes.
test.each(["0", "2", "5"])(
  "an upstream's listener, by prior knowledge and with any authority, frames %s ms apart",
  async (gapMs) => {
    const address = caller.ready.addresses.upstreams.find(({ name }) => name === AUTHORITY);
    expect(await conformance(address!, ["--gap-ms", gapMs])).toBe("147 of 147 cases pass");
  },
  120_000,
);

test("the outbound listener, by prior knowledge", async () => {
  const args = ["--authority", AUTHORITY];
  expect(await conformance(caller.ready.addresses.outbound, args)).toBe("147 of 147 cases pass");
}, 120_000);

test("the inbound listener, over mutual TLS", async () => {
  const { certificateChainPem, privateKeyPem } = await svidOf(await controlPlaneOf(mesh), "alice", {
    joinToken: await joinToken(mesh, "alice"),
  });
  const identity = [
    "--cert",
    secretFile("cert.pem", certificateChainPem),
    "--key",
    secretFile("key.pem", privateKeyPem),
  ];
  const name = ["--servername", "outbound_.8080_._.web.default.svc.cluster.local"];
  expect(await conformance(web.ready.addresses.inbound, ["--tls", ...identity, ...name])).toBe(
    "147 of 147 cases pass",
  );
}, 120_000);

test("every door still serves", async () => {
  expect((await askWeb(caller.upstream(AUTHORITY))).instance).toBe("web");
  expect(
    (await askWeb(urlOf(caller.ready.addresses.outbound), { headers: { host: AUTHORITY } })).instance,
  ).toBe("web");
});

/** Runs the suite; gives its last line, or everything that failed. */
function conformance({ host, port }: Address, args: readonly string[] = []): Promise<string> {
  const options = ["--host", host, "--port", String(port), "--failures-only", ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, [SUITE, ...options], (_error, stdout, stderr) => {
      resolve(`${stdout}${stderr}`.trim());
    });
  });
}

function secretFile(name: string, content: string): string {
  const path = join(mesh.directory, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}
