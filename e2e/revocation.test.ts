import type { ControlPlaneAddress, Svid } from "@tulle/agent";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { tryTls } from "./support/inbound-tls.js";
import { Mesh } from "./support/mesh.js";
import { startStrictPair, WEB_SNI } from "./support/strict-pair.js";
import { controlPlaneOf, joinToken, svidOf } from "./support/svid.js";
import type { Workload } from "./support/workload.js";

// A certificate that was stolen is taken back: by its serial number, or with all that its identity has.

const OK = "HTTP/1.1 200 OK";

let mesh: Mesh;
let caller: Workload;
let web: Workload;
let controlPlane: ControlPlaneAddress;

beforeAll(async () => {
  mesh = await Mesh.start();
  ({ caller, web } = await startStrictPair(mesh));
  controlPlane = await controlPlaneOf(mesh);
}, 60_000);

afterAll(() => mesh.end());

const join = async (account: string): Promise<Svid> =>
  svidOf(controlPlane, account, { joinToken: await joinToken(mesh, account) });

async function answered(svid: Svid): Promise<string> {
  const { certificateChainPem: cert, privateKeyPem: key } = svid;
  return (await tryTls(web.ready.addresses.inbound, { cert, key, servername: WEB_SNI })).answer;
}

test("what was revoked is refused within a second, is not renewed, and nobody else is touched", async () => {
  const [stolen, second, other] = await Promise.all([join("mallory"), join("mallory"), join("alice")]);
  expect(await answered(stolen)).toBe(OK);
  const revoke = await mesh.ask("ca", "revoke", stolen.serialNumber);
  expect(revoke.out).toContain(`revoked ${stolen.serialNumber} of ${stolen.spiffeId}`);
  const at = performance.now();
  await eventually(async () => (await answered(stolen)) === "");
  expect(performance.now() - at).toBeLessThan(1000);
  expect([await answered(second), await answered(other)]).toEqual([OK, OK]);
  await expect(svidOf(controlPlane, "mallory", { svid: stolen })).rejects.toMatchObject({
    code: "AGENT_CONTROL_PLANE",
  });
  // Its identity may join again.
  expect(await answered(await join("mallory"))).toBe(OK);
  const all = await mesh.ask("ca", "revoke", stolen.spiffeId);
  expect(all.code).toBe(0);
  await eventually(async () => (await answered(second)) === "");
  expect(await answered(other)).toBe(OK);
  expect((await call(caller.upstream("web:8080"))).status).toBe(200);
  const status = await mesh.ask("ca", "status");
  expect(status.out).toMatch(/^Revoked: +3 by /m);
  expect((await mesh.ask("ca", "revoke", "ABCDEF")).err).toContain("no valid certificate of this mesh");
}, 60_000);

test("a revocation survives the control plane, and a callee that was revoked is not called", async () => {
  const webs = "spiffe://cluster.local/ns/default/sa/web";
  const url = caller.upstream("web:8080");
  expect((await call(url)).status).toBe(200);
  await mesh.client.revoke(webs);
  await eventually(async () => (await call(url)).status === 503);
  mesh.control.kill9();
  await mesh.startControlPlane();
  expect((await mesh.client.status()).authority.revocation?.lists).toMatchObject([{ revoked: 4 }]);
  expect((await call(url)).status).toBe(503);
}, 60_000);
