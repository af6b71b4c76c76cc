import { createLogger, Emitter, MeshError, silentLogger, systemClock, type Logger } from "@tulle/base";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { MeshTrust } from "../../control/src/ca/mesh-trust.js";
import type { CertificateSigner } from "../../control/src/ca/signer.js";
import { JwtAuthority } from "../../control/src/ca/jwt-authority.js";
import { TrustDistribution } from "../../control/src/ca/trust-distribution.js";
import {
  createMemoryStores,
  createPeerIdentity,
  startGrpcServer,
  type GrpcServer,
} from "../../control/src/index.js";
import type { Svid, TrustUpdate } from "./contract.js";
import { connectControlPlane } from "./control-plane.js";
import { TrustSubscription } from "./trust-subscription.js";

// The agent's end against the control plane's, over TLS.

let authority: TestAuthority;
let roots: string;
let changed: Emitter<void>;
let trust: MeshTrust;
let distribution: TrustDistribution;
let server: GrpcServer;
let svid: Svid;
let updates: TrustUpdate[];
let refuse: boolean;
let subscriptions: TrustSubscription[];

beforeEach(async () => {
  authority = await createTestAuthority();
  roots = authority.rootCertificatePem;
  changed = new Emitter<void>();
  const { coordination } = createMemoryStores({ clock: systemClock });
  const signer = {
    get trustBundlePem() {
      return roots;
    },
    onChanged: changed.event,
  } as unknown as CertificateSigner;
  const jwtAuthority = await JwtAuthority.open({ coordination, clock: systemClock, logger: silentLogger });
  trust = new MeshTrust({
    signer,
    jwtAuthority,
    trustDomain: "cluster.local",
    trustDomainAliases: ["old.example"],
    graceMs: 90_500,
  });
  const identify = createPeerIdentity({
    trustBundlePem: () => authority.rootCertificatePem,
    trustDomain: "cluster.local",
    clock: systemClock,
  });
  distribution = new TrustDistribution({ trust, identify, clock: systemClock, logger: silentLogger });
  const own = await authority.issue({ namespace: "istio-system", serviceAccount: "istiod" });
  server = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: { current: () => own, onRotated: () => ({ [Symbol.dispose]: () => undefined }) },
    methods: distribution.methods(),
    clock: systemClock,
  });
  svid = await authority.issue({ serviceAccount: "reviews" });
  updates = [];
  refuse = false;
  subscriptions = [];
});

afterEach(async () => {
  for (const subscription of subscriptions) subscription[Symbol.dispose]();
  distribution[Symbol.dispose]();
  await server.close(0);
});

function subscribe(as: Svid | "nobody" = svid, logger: Logger = silentLogger): TrustSubscription {
  const subscription = new TrustSubscription({
    trustDomain: () => "cluster.local",
    onTrust: (update) => {
      if (refuse) throw new MeshError("invalid", "X", "not these");
      updates.push(update);
    },
    clock: systemClock,
    random: () => 0,
    logger,
  });
  subscriptions.push(subscription);
  const target = {
    address: `127.0.0.1:${server.port}`,
    rootCertificatePem: authority.rootCertificatePem,
    trustDomain: "cluster.local",
  };
  subscription.follow(() => connectControlPlane(target, as === "nobody" ? undefined : as, systemClock));
  return subscription;
}

test("roots of every name, keys and grace come at once and with every change, and are acknowledged", async () => {
  subscribe();
  const first = await eventually(() => updates[0]);
  expect(first).toMatchObject({
    trustBundlePem: roots,
    federatedBundles: { "old.example": roots },
    graceMs: 90_500,
  });
  expect(Object.keys(first.jwtBundles)).toEqual(["cluster.local", "old.example"]);
  await eventually(() => distribution.pending.length === 0);

  roots += (await createTestAuthority()).rootCertificatePem;
  changed.emit();
  expect(distribution.pending).toEqual([svid.spiffeId]);
  expect((await eventually(() => updates[1])).trustBundlePem).toBe(roots);
  await eventually(() => distribution.pending.length === 0);

  const other = (await createTestAuthority({ trustDomain: "theirs.example" })).rootCertificatePem;
  // Who claims our name does not get it.
  trust.federate([
    { trustDomain: "theirs.example", x509Pem: other, jwks: "{}" },
    { trustDomain: "cluster.local", x509Pem: other, jwks: "{}" },
  ]);
  const third = await eventually(() => updates[2]);
  expect(third.trustBundlePem).toBe(roots);
  expect(third.federatedBundles["theirs.example"]).toBe(other);
});

test("who refuses or has not answered is waited for, who has gone is not", async () => {
  refuse = true;
  const subscription = subscribe();
  await eventually(() => distribution.pending.length === 1);
  refuse = false;
  changed.emit();
  await eventually(() => distribution.pending.length === 0);
  refuse = true;
  roots += (await createTestAuthority()).rootCertificatePem;
  changed.emit();
  await eventually(() => distribution.pending.length === 1);
  let gone = 0;
  distribution.onAccepted(() => gone++);
  subscription[Symbol.dispose]();
  await eventually(() => distribution.pending.length === 0);
  expect(gone).toBeGreaterThan(0);
});

test("nobody without a certificate of the mesh is told anything", async () => {
  for (const as of ["nobody", await (await createTestAuthority()).issue()] as const) {
    const logged: string[] = [];
    subscribe(as, createLogger({ level: "debug", now: () => 0, write: (line) => logged.push(line) }));
    await eventually(() => logged.some((line) => line.includes("the stream of roots ended")));
  }
  expect(updates).toEqual([]);
  expect(distribution.pending).toEqual([]);
});
