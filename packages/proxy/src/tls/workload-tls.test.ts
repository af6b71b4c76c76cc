import { X509Certificate } from "node:crypto";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";

import { createTestAuthority, FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { TestIdentity } from "../../test/harness.js";
import { WorkloadTls } from "./workload-tls.js";

test("a connection is used a little less long than its peer's certificate lasts, by grace for as long as that lasts", async () => {
  const authority = await createTestAuthority();
  const clock = new FakeClock(Date.now());
  const graceMs = 100 * 3_600_000;
  const peer = await authority.issue();
  const { raw } = new X509Certificate(peer.certificateChainPem);
  const tls = new WorkloadTls(new TestIdentity({ ...(await authority.issue()), graceMs }), clock);
  const usefulMs = (): number => {
    const socket = Object.assign(new TLSSocket(new Socket()), {
      authorized: true,
      getPeerCertificate: () => ({ raw }),
    });
    expect(tls.judge(socket, {})).toMatchObject({ ok: true });
    const useful = tls.watch(socket, () => undefined);
    socket.destroy();
    return useful;
  };
  const leftMs = peer.notAfter - clock.now();
  expect(usefulMs()).toBe(leftMs - Math.min(leftMs / 4, 60_000));
  await clock.advance(leftMs + 1000);
  expect(usefulMs()).toBe(graceMs - 1000 - 60_000);
  tls[Symbol.dispose]();
});
