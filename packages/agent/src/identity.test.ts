import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

import { createLogger, silentLogger, systemClock, type Clock } from "@tulle/base";
import type { SvidRule } from "@tulle/base/spiffe";
import { createTestAuthority, eventually, FakeClock } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import {
  createCertificateAuthority,
  createCertificateService,
  createJoinTokens,
  createMemoryStores,
  createPeerIdentity,
  createServerIdentity,
  startGrpcServer,
  type CertificateAuthority,
  type GrpcServer,
  type JoinTokens,
  type ServerCertificateProvider,
} from "../../control/src/index.js";
import type { Svid } from "./contract.js";
import { createWorkloadIdentity, type JoiningIdentity, type WorkloadIdentityOptions } from "./identity.js";
import { noNameCheck, secureContextOptions, trustBundlesOf, verifyPeer } from "./tls.js";

const ID = { trustDomain: "cluster.local", namespace: "default", serviceAccount: "reviews" };
const SPIFFE_ID = "spiffe://cluster.local/ns/default/sa/reviews";

let clock: FakeClock;
let directory: string;
let control: ControlPlane;
const opened: Disposable[] = [];

beforeEach(async () => {
  clock = new FakeClock(Date.now());
  directory = await mkdtemp(join(tmpdir(), "tulle-agent-"));
  control = await startControlPlane();
});

afterEach(async () => {
  for (const identity of opened.splice(0)) identity[Symbol.dispose]();
  await control.stop();
  await rm(directory, { recursive: true, force: true });
});

test("createWorkloadIdentity joins with a token and keeps the identity for its owner only", async () => {
  const identity = await open({ joinToken: await control.token() });
  expect(() => identity.current()).toThrow(
    expect.objectContaining({ code: "AGENT_NO_IDENTITY", kind: "unavailable" }),
  );
  const svid = await identity.ready();
  expect(identity.current()).toBe(svid);
  expect(svid.spiffeId).toBe(SPIFFE_ID);
  expect(svid.trustBundlePem).toBe(control.authority.signer.trustBundlePem);
  expect(svid.serialNumber).toBe(control.authority.issued()[0]?.serialNumber);
  const file = join(directory, "state", "identity.json");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, "state"))).mode & 0o777).toBe(0o700);
});

test("the identity is renewed at half of its life, again and again, with a new key and by its certificate", async () => {
  const identity = await open({ joinToken: await control.token() });
  const seen: Svid[] = [await identity.ready()];
  identity.onRotated((svid) => {
    expect(identity.current()).toBe(svid);
    seen.push(svid);
  });
  await clock.advance(4000);
  expect(identity.current()).toBe(seen[0]);
  for (let round = 1; round <= 5; round++) {
    await clock.advance(round === 1 ? 2000 : 5600);
    await eventually(() => seen.length === round + 1);
  }
  expect(new Set(seen.map((svid) => svid.privateKeyPem)).size).toBe(6);
  expect(new Set(seen.map((svid) => svid.serialNumber)).size).toBe(6);
  // The control plane knows them for one workload.
  expect(control.authority.issued().map((issued) => issued.serialNumber)).toEqual([
    seen.at(-1)?.serialNumber,
  ]);
});

test("no handshake fails while identities rotate under load", async () => {
  const server = await open({ joinToken: await control.token(), stateDirectory: join(directory, "server") });
  const client = await open({ joinToken: await control.token(), stateDirectory: join(directory, "client") });
  await Promise.all([server.ready(), client.ready()]);
  const verdicts: unknown[] = [];
  const rule = (svid: Svid): SvidRule => ({ nowMs: clock.now(), bundles: trustBundlesOf(svid) });
  const listener = createServer({ ...secureContextOptions(server.current()), requestCert: true });
  server.onRotated((svid) => listener.setSecureContext(secureContextOptions(svid)));
  listener.on("secureConnection", (socket: TLSSocket) => {
    socket.on("error", () => undefined);
    verdicts.push(verifyPeer(socket, rule(server.current())));
    socket.end();
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const rotations: Svid[] = [];
  server.onRotated((svid) => rotations.push(svid));
  client.onRotated((svid) => rotations.push(svid));
  let handshakes = 0;
  while (rotations.length < 12) {
    await clock.advance(500);
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        const options = { ...secureContextOptions(client.current()), checkServerIdentity: noNameCheck };
        const socket = connect({ ...options, host: "127.0.0.1", port });
        await once(socket, "secureConnect");
        verdicts.push(verifyPeer(socket, rule(client.current())));
        socket.resume();
        await once(socket, "close");
        handshakes++;
      }),
    );
  }
  listener.close();
  expect(handshakes).toBeGreaterThan(50);
  expect(verdicts).toHaveLength(2 * handshakes);
  expect(verdicts.filter((verdict) => !(verdict as { ok: boolean }).ok)).toEqual([]);
});

test("an identity with a life of five seconds is renewed in real time", async () => {
  await control.stop();
  control = await startControlPlane({ certificateTtlMs: 5000, clock: systemClock });
  const identity = await open({ joinToken: await control.token(), clock: systemClock });
  const first = await identity.ready();
  const second = await new Promise<Svid>((resolve) => {
    identity.onRotated(resolve);
  });
  expect(second.serialNumber).not.toBe(first.serialNumber);
  expect(first.notAfter).toBeGreaterThan(Date.now());
});

test("createWorkloadIdentity starts from disk without control plane and without its root", async () => {
  const before = await open({ joinToken: await control.token() });
  const svid = await before.ready();
  before[Symbol.dispose]();
  await control.stop();
  const after = await open({ controlPlane: { address: control.address } });
  expect(after.current()).toEqual(svid);
  expect(await after.ready()).toEqual(svid);
});

test("the identity is tried often enough to be renewed in time once the control plane is back", async () => {
  const tries: number[] = [];
  const logger = createLogger({ now: () => 0, write: () => tries.push(clock.now()) });
  const identity = await open({ joinToken: await control.token(), logger });
  const svid = await identity.ready();
  await control.server.close(0);
  tries.length = 0;
  await clock.advance(svid.notAfter - clock.now() - 6000);
  while (clock.now() < svid.notAfter - 2000) {
    await clock.advance(50);
    await settleNetwork();
  }
  expect(tries.length).toBeGreaterThanOrEqual(2);
  control.server = await control.listen(control.server.port);
  await eventually(async () => {
    await clock.advance(20);
    return identity.current() !== svid;
  });
  expect(clock.now()).toBeLessThan(svid.notAfter);
});

test("ready waits for a control plane that is not up yet", async () => {
  const joinToken = await control.token();
  await control.server.close(0);
  const identity = await open({ joinToken });
  await clock.advance(3000);
  await settleNetwork();
  expect(() => identity.current()).toThrow(expect.objectContaining({ code: "AGENT_NO_IDENTITY" }));
  control.server = await control.listen(control.server.port);
  const svid = identity.ready();
  let got = false;
  void svid.then(() => {
    got = true;
  });
  await eventually(async () => {
    await clock.advance(1000);
    return got;
  });
  expect((await svid).spiffeId).toBe(SPIFFE_ID);
});

test("ready rejects when the join token was used already, and says so", async () => {
  const joinToken = await control.token();
  await (await open({ joinToken })).ready();
  const second = await open({ joinToken, stateDirectory: join(directory, "second") });
  const refusal = { kind: "unauthenticated", message: expect.stringContaining("used already") };
  await expect(second.ready()).rejects.toMatchObject(refusal);
  expect(() => second.current()).toThrow(expect.objectContaining(refusal));
});

test("ready rejects when the join token is for another account", async () => {
  const { token } = await control.joinTokens.mint({ namespace: "default", serviceAccount: "ratings" });
  await expect((await open({ joinToken: token })).ready()).rejects.toMatchObject({ kind: "denied" });
});

test("the agent gives its token to no control plane of a foreign authority, and to no workload of its own", async () => {
  const foreign = await createTestAuthority();
  const joinToken = await control.token();
  const impostors = [
    foreign.issue({ namespace: "istio-system", serviceAccount: "istiod" }),
    control.ownAuthorityIssues(),
  ];
  for (const impostor of impostors) {
    const { certificate, asked, server } = await control.impersonate(await impostor);
    const identity = await open({
      joinToken,
      controlPlane: { address: `127.0.0.1:${server.port}`, ...control.root() },
    });
    for (let i = 0; i < 5; i++) {
      await clock.advance(1000);
      await settleNetwork();
    }
    expect(() => identity.current(), certificate.certificateChainPem).toThrow(
      expect.objectContaining({ code: "AGENT_NO_IDENTITY" }),
    );
    expect(asked()).toBe(0);
    identity[Symbol.dispose]();
    await server.close(0);
  }
});

test("createWorkloadIdentity says what to do without identity and token, or with an expired one", async () => {
  await expect(open({})).rejects.toMatchObject({ code: "AGENT_NO_JOIN_TOKEN", kind: "unauthenticated" });
  const identity = await open({ joinToken: await control.token() });
  await identity.ready();
  identity[Symbol.dispose]();
  await clock.advance(60_000);
  await expect(open({})).rejects.toMatchObject({
    code: "AGENT_IDENTITY_EXPIRED",
    message: expect.stringContaining("join with a token"),
  });
  expect((await (await open({ joinToken: await control.token() })).ready()).notAfter).toBeGreaterThan(
    clock.now(),
  );
});

test("createWorkloadIdentity does not use another workload's identity or a damaged file", async () => {
  const identity = await open({ joinToken: await control.token() });
  await identity.ready();
  identity[Symbol.dispose]();
  await expect(open({ id: { ...ID, serviceAccount: "ratings" } })).rejects.toMatchObject({
    kind: "unauthenticated",
    message: expect.stringContaining("ratings"),
  });
  const file = join(directory, "state", "identity.json");
  await writeFile(file, (await readFile(file, "utf8")).slice(0, 500));
  await expect(open({})).rejects.toMatchObject({ code: "AGENT_IDENTITY_FILE" });
  expect((await (await open({ joinToken: await control.token() })).ready()).spiffeId).toBe(SPIFFE_ID);
});

test("createWorkloadIdentity joins again when the control plane has a new root", async () => {
  const identity = await open({ joinToken: await control.token() });
  const old = await identity.ready();
  identity[Symbol.dispose]();
  await control.stop();
  control = await startControlPlane();
  const svid = await (await open({ joinToken: await control.token() })).ready();
  expect(svid.trustBundlePem).toBe(control.authority.signer.trustBundlePem);
  expect(svid.trustBundlePem).not.toBe(old.trustBundlePem);
});

test("disposing an identity stops its timers and rejects ready", async () => {
  await control.server.close(0);
  const identity = await open({ joinToken: "x" });
  identity[Symbol.dispose]();
  await expect(identity.ready()).rejects.toMatchObject({ code: "AGENT_DISPOSED" });
  await settleNetwork();
  await eventually(() => clock.pending === 0);
});

async function open(options: Partial<WorkloadIdentityOptions>): Promise<JoiningIdentity> {
  const identity = await createWorkloadIdentity({
    id: ID,
    stateDirectory: join(directory, "state"),
    controlPlane: { address: control.address, ...control.root() },
    clock,
    random: () => 0.5,
    logger: silentLogger,
    ...options,
  });
  opened.push(identity);
  return identity;
}

/** Lets connections that were just refused, or made, be noticed. */
function settleNetwork(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

interface ControlPlane {
  readonly authority: CertificateAuthority;
  readonly joinTokens: JoinTokens;
  readonly address: string;
  server: GrpcServer;
  root(): { rootCertificatePem: string };
  token(): Promise<string>;
  listen(port: number): Promise<GrpcServer>;
  /** A certificate of the same root that is an ordinary workload's. */
  ownAuthorityIssues(): Promise<Svid>;
  impersonate(certificate: Svid): Promise<{ certificate: Svid; asked: () => number; server: GrpcServer }>;
  stop(): Promise<void>;
}

async function startControlPlane(
  options: { readonly certificateTtlMs?: number; readonly clock?: Clock } = {},
): Promise<ControlPlane> {
  const useClock = options.clock ?? clock;
  const logger = silentLogger;
  const { coordination } = createMemoryStores({ clock: useClock });
  const authority = await createCertificateAuthority({
    coordination,
    clock: useClock,
    trustDomain: "cluster.local",
    certificateTtlMs: options.certificateTtlMs ?? 10_000,
    serverCertificateTtlMs: 86_400_000,
    logger,
  });
  const joinTokens = createJoinTokens({ coordination, clock: useClock });
  const own = await createServerIdentity({
    authority,
    dnsNames: [],
    ipAddresses: ["127.0.0.1"],
    clock: systemClock,
    random: () => 0,
    logger,
  });
  const trustBundlePem = (): string => authority.signer.trustBundlePem;
  const peerIdentity = createPeerIdentity({ trustBundlePem, trustDomain: "cluster.local", clock: useClock });
  const start = (
    port: number,
    certificates: ServerCertificateProvider,
    calls: () => void,
  ): Promise<GrpcServer> => {
    const methods = createCertificateService({
      authority,
      joinTokens,
      usedTokens: { use: () => Promise.resolve(true) },
      peerIdentity,
      clock: useClock,
      logger,
    });
    return startGrpcServer({
      address: "127.0.0.1",
      port,
      certificates,
      methods: methods.map((method) => ({
        path: method.path,
        open: (call) => {
          calls();
          return method.open(call);
        },
      })),
      clock: systemClock,
    });
  };
  const listen = (port: number): Promise<GrpcServer> => start(port, own, () => undefined);
  const server = await listen(0);
  const plane: ControlPlane = {
    authority,
    joinTokens,
    address: `127.0.0.1:${server.port}`,
    server,
    root: () => ({ rootCertificatePem: authority.signer.trustBundlePem }),
    token: async () => (await joinTokens.mint({ namespace: "default", serviceAccount: "reviews" })).token,
    listen,
    async ownAuthorityIssues() {
      const { token } = await joinTokens.mint({ namespace: "default", serviceAccount: "evil" });
      const evil = await open({
        id: { ...ID, serviceAccount: "evil" },
        joinToken: token,
        stateDirectory: join(directory, "evil"),
      });
      return evil.ready();
    },
    async impersonate(certificate) {
      let asked = 0;
      const never = { current: () => certificate, onRotated: () => ({ [Symbol.dispose]: () => undefined }) };
      const impostor = await start(0, never, () => asked++);
      return { certificate, asked: () => asked, server: impostor };
    },
    async stop() {
      own[Symbol.dispose]();
      await plane.server.close(0);
    },
  };
  return plane;
}
