import { join } from "node:path";
import { connect } from "node:tls";

import type { Svid } from "@tulle/agent";
import { parseCertificates } from "@tulle/base/spiffe";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { tryTls } from "./support/inbound-tls.js";
import { pause, report, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { startStrictPair, WEB_SNI } from "./support/strict-pair.js";
import { controlPlaneOf, joinToken, svidOf } from "./support/svid.js";
import { tulle } from "./support/tulle-process.js";
import type { Workload } from "./support/workload.js";

// The root is replaced again and again while requests flow, and the control plane is killed in between.

const RATE = 100;
/** The long run: `ROOT_ROTATIONS=10 ROOT_ROTATION_EVERY_MS=60000 npx vitest run e2e/root-rotation.test.ts`. */
const ROTATIONS = Number(process.env["ROOT_ROTATIONS"] ?? 4);
const EVERY_MS = Number(process.env["ROOT_ROTATION_EVERY_MS"] ?? 6000);

let mesh: Mesh;
let caller: Workload;
let web: Workload;
/** A certificate of the first root. */
let early: Svid;

beforeAll(async () => {
  // Half of it must do for the control plane to come back: nobody can renew while it is away.
  mesh = await Mesh.start(["--certificate-ttl", "12s"]);
  ({ caller, web } = await startStrictPair(mesh));
  early = await svidOf(await controlPlaneOf(mesh), "early", { joinToken: await joinToken(mesh, "early") });
}, 60_000);

afterAll(() => mesh.end());

/** The root that signs now. */
async function signingRoot(): Promise<string> {
  const { authority } = await mesh.client.status();
  return authority.certificates?.find(({ phase }) => phase === "active")?.id ?? "";
}

test(
  "the root is replaced under load, through a kill of the control plane, and no request fails",
  async () => {
    const seen = new Set([await signingRoot()]);
    const [first] = seen;
    const url = caller.upstream("web:8080");
    const result = await underLoad({ name: "root rotation", url, requestsPerSecond: RATE }, async () => {
      for (let round = 0; round < ROTATIONS; round++) {
        const dueAt = performance.now() + EVERY_MS;
        const before = await signingRoot();
        await mesh.client.rotateRoot();
        if (round === 1) {
          mesh.control.kill9();
          await mesh.startControlPlane();
        }
        await eventually(async () => (await signingRoot()) !== before, 30_000);
        seen.add(await signingRoot());
        await pause(Math.max(0, dueAt - performance.now()));
      }
      // The last old root goes when the last certificate that it signed has ended.
      await eventually(async () => (await mesh.client.status()).authority.certificates?.length === 1, 40_000);
    });
    const info = await mesh.client.info();
    report(
      "root rotation",
      `${seen.size} roots, ${parseCertificates(info.rootCertificatePem).length} at the end`,
    );
    expect(result.errors).toEqual([]);
    expect(result.failures).toBe(0);
    expect(seen.size).toBe(ROTATIONS + 1);
    expect(parseCertificates(info.rootCertificatePem).map(({ serialNumber }) => serialNumber)).not.toContain(
      first,
    );
  },
  ROTATIONS * (EVERY_MS + 40_000) + 120_000,
);

test("an open connection ends within a second of its peer's certificate, and serves nothing after it", async () => {
  const brief = await svidOf(await controlPlaneOf(mesh), "brief", {
    joinToken: await joinToken(mesh, "brief"),
  });
  const { certificateChainPem: cert, privateKeyPem: key } = brief;
  const socket = connect({
    ...web.ready.addresses.inbound,
    cert,
    key,
    servername: WEB_SNI,
    rejectUnauthorized: false,
  });
  let [servedAt, closedAt] = [0, 0];
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    if (chunk.toString("latin1").startsWith("HTTP/1.1 200 ")) servedAt = Date.now();
  });
  socket.once("close", () => (closedAt = Date.now()));
  await eventually(async () => {
    if (closedAt === 0) socket.write("GET /served HTTP/1.1\r\nhost: web:8080\r\n\r\n");
    await pause(50);
    return closedAt > 0;
  }, 25_000);
  const [served, closed] = [servedAt - brief.notAfter, closedAt - brief.notAfter];
  report("open connection", `after its certificate's end: served ${served} ms, closed ${closed} ms`);
  expect(closed).toBeGreaterThanOrEqual(0);
  expect(served).toBeLessThan(1000);
  expect(closed).toBeLessThan(2500);
}, 40_000);

test("a certificate of a root that was taken away is let in no more, one of the present root is", async () => {
  const at = web.ready.addresses.inbound;
  const certificate = (svid: Svid) => ({
    cert: svid.certificateChainPem,
    key: svid.privateKeyPem,
    servername: WEB_SNI,
  });
  expect((await tryTls(at, certificate(early))).answer).toBe("");
  const late = await svidOf(await controlPlaneOf(mesh), "late", { joinToken: await joinToken(mesh, "late") });
  expect((await tryTls(at, certificate(late))).answer).toBe("HTTP/1.1 200 OK");
});

test("tulle ca status and tulle check say how the roots are", async () => {
  const run = (name: string, ...args: string[]) =>
    tulle({
      args: [...args, "--server", mesh.server],
      environment: mesh.environment,
      logFile: join(mesh.directory, `${name}.log`),
    });
  expect((await run("status", "ca", "status")).output).toMatch(/active +[0-9A-F]{32}/);
  expect(await run("check", "check")).toEqual({ code: 0, output: "nothing to do\n" });
});
