import { connect as connectHttp2 } from "node:http2";
import { webcrypto } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";

import type { Svid } from "@tulle/agent";
import { TlsParameters_TlsProtocol as TlsProtocol } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  eventually,
  makeCertificate,
  makeRevocationList,
  type ChainCertificate,
  type ChainCertificateOptions,
} from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { backend, closeAll, createProxy, TestIdentity } from "../../test/harness.js";
import { inboundListener, staticCluster, type TlsParams } from "../../test/resources.js";
import { SNI } from "../../test/pair.js";

// Everything that does not show a good certificate of the mesh, against real inbound listeners in STRICT mode: one as it is by
// default, and one that takes TLS 1.2, too. What counts is whether the application was reached.

const TRUST_DOMAIN = "spiffe://cluster.local";
const ALICE = `${TRUST_DOMAIN}/ns/default/sa/alice`;
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CODE_SIGNING = "1.3.6.1.5.5.7.3.3";
/** `x509.KeyUsageFlags`. */
const DIGITAL_SIGNATURE = 1;
const KEY_CERT_SIGN = 32;
const CRL_SIGN = 64;
const HOUR_MS = 3_600_000;
const TIMEOUT_MS = 5000;

/** A client's certificate chain and key. */
interface Shown {
  readonly cert: string;
  readonly key: string;
}

let root: ChainCertificate;
/** Of the listener that takes TLS 1.3 alone, and of the one that takes TLS 1.2, too. */
let inboundPort: number;
let olderPort: number;
let identity: TestIdentity;
let good: Shown;
const reached = new Set<string>();
let attempts = 0;

beforeAll(async () => {
  root = await makeRoot("Mesh root");
  identity = new TestIdentity(await svidOf(root));
  const app = await backend((request, response) => {
    reached.add(request.url ?? "");
    response.end("in");
  });
  const listen = async (tlsParams?: TlsParams): Promise<number> => {
    const server = createProxy({ identity, name: "reviews" });
    const cluster = "inbound|9080||reviews.default.svc.cluster.local";
    server.apply(
      staticCluster(cluster, app.port),
      inboundListener({ sni: SNI, cluster, ...(tlsParams !== undefined && { tlsParams }) }),
    );
    return (await server.inbound()).tcp.address.port;
  };
  inboundPort = await listen();
  olderPort = await listen({ tlsMinimumProtocolVersion: TlsProtocol.TLSv1_2 });
  good = await shown({});
}, 60_000);

afterAll(closeAll);

function makeRoot(name: string): Promise<ChainCertificate> {
  return makeCertificate({ name, ca: true, keyUsage: KEY_CERT_SIGN | CRL_SIGN });
}

const LEAF: ChainCertificateOptions = {
  ca: false,
  keyUsage: DIGITAL_SIGNATURE,
  extendedKeyUsages: [CLIENT_AUTH, SERVER_AUTH],
};

function uris(...values: readonly string[]): ChainCertificateOptions {
  return { names: values.map((value) => ({ type: "url" as const, value })) };
}

async function keyOf({ keys }: ChainCertificate): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}

/** A certificate of the mesh for alice, but for what is said. `above`: certificates that are shown behind it. */
async function shown(more: ChainCertificateOptions, above: readonly ChainCertificate[] = []): Promise<Shown> {
  const made = await makeCertificate({ ...LEAF, issuer: root, ...uris(ALICE), ...more });
  return { cert: [made, ...above].map(({ pem }) => pem).join(""), key: await keyOf(made) };
}

async function svidOf(issuer: ChainCertificate, trusted = issuer): Promise<Svid> {
  const spiffeId = `${TRUST_DOMAIN}/ns/default/sa/reviews`;
  const made = await makeCertificate({ ...LEAF, issuer, ...uris(spiffeId) });
  return {
    spiffeId,
    certificateChainPem: made.pem,
    privateKeyPem: await keyOf(made),
    trustBundlePem: trusted.pem,
    notBefore: Date.now() - HOUR_MS,
    notAfter: Date.now() + HOUR_MS,
    serialNumber: made.certificate.serialNumber,
  };
}

/** What becomes of one attempt. */
interface Outcome {
  /** The application was reached. */
  readonly in: boolean;
  readonly resumed: boolean;
  readonly sessions: readonly Buffer[];
}

/** Connects, asks for a path of its own over HTTP/1.1 or, where that is agreed on, HTTP/2, and waits for the end. */
function attempt(options: ConnectionOptions): Promise<Outcome> {
  const path = `/attempt/${++attempts}`;
  return new Promise((resolve) => {
    const sessions: Buffer[] = [];
    let resumed = false;
    const socket: TLSSocket = connectTls({
      port: inboundPort,
      host: "127.0.0.1",
      servername: SNI,
      ...options,
      rejectUnauthorized: false,
    });
    const timer = setTimeout(() => socket.destroy(), TIMEOUT_MS);
    // Beneath a session of HTTP/2 nobody else would close it.
    socket.on("error", () => socket.destroy());
    socket.on("session", (session) => sessions.push(session));
    socket.once("secureConnect", () => {
      resumed = socket.isSessionReused();
      if (socket.alpnProtocol === "h2") askHttp2(socket, path);
      else socket.write(`GET ${path} HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\n\r\n`);
    });
    socket.on("data", () => undefined);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve({ in: reached.has(path), resumed, sessions });
    });
  });
}

function askHttp2(socket: TLSSocket, path: string): void {
  const session = connectHttp2("http://reviews", { createConnection: () => socket });
  session.on("error", () => undefined);
  const stream = session.request({ ":path": path });
  stream.on("error", () => undefined);
  stream.on("close", () => session.destroy());
  stream.resume();
  stream.end();
}

/** What becomes of a second handshake on a connection of TLS 1.2. */
function renegotiation(options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", servername: SNI, ...options, rejectUnauthorized: false });
    socket.on("error", (error) => resolve(error.message));
    socket.once("secureConnect", () =>
      socket.renegotiate({}, (error) => {
        resolve(error?.message ?? "renegotiated");
        socket.destroy();
      }),
    );
  });
}

/** Sends bytes as they are. */
function attemptBytes(make: (path: string) => Buffer | string): Promise<Outcome> {
  const path = `/attempt/${++attempts}`;
  return new Promise((resolve) => {
    const socket = connectTcp(inboundPort, "127.0.0.1");
    const timer = setTimeout(() => socket.destroy(), 1000);
    socket.on("error", () => undefined);
    socket.on("data", () => undefined);
    socket.once("connect", () => socket.write(make(path)));
    socket.once("close", () => {
      clearTimeout(timer);
      resolve({ in: reached.has(path), resumed: false, sessions: [] });
    });
  });
}

/** How a client may try, whatever it shows. */
const WAYS: readonly (readonly [string, ConnectionOptions])[] = [
  ["TLS 1.3", { minVersion: "TLSv1.3" }],
  ["TLS 1.3 with HTTP/2", { minVersion: "TLSv1.3", ALPNProtocols: ["h2"] }],
  ["TLS 1.3 with Istio's ALPN", { minVersion: "TLSv1.3", ALPNProtocols: ["istio-http/1.1", "http/1.1"] }],
  ["TLS 1.2", { maxVersion: "TLSv1.2" }],
  ["TLS 1.3 without server name", { minVersion: "TLSv1.3", servername: "" }],
];

/** Sessions of somebody who was let in: of TLS 1.3, or of TLS 1.2 where that is taken. */
async function goodSessions(port = inboundPort): Promise<readonly Buffer[]> {
  const outcome = await attempt({ ...good, port, ...(port === olderPort && { maxVersion: "TLSv1.2" }) });
  expect(outcome.in).toBe(true);
  return outcome.sessions;
}

/** Certificates that must not let anybody in, as they are made. */
const BAD: readonly (readonly [string, () => Promise<Shown | undefined>])[] = [
  ["no certificate", async () => undefined],
  ["one that has expired", () => shown({ notBefore: Date.now() - 2 * HOUR_MS, notAfter: Date.now() - 1000 })],
  [
    "one that is not valid yet",
    () => shown({ notBefore: Date.now() + HOUR_MS, notAfter: Date.now() + 2 * HOUR_MS }),
  ],
  ["one that it signed itself", () => selfSigned({})],
  ["one that it signed itself, in the root's name", () => selfSigned({ name: "Mesh root" })],
  ["one of another authority", async () => shown({ issuer: await makeRoot("Other root") })],
  ["one of another authority of the same name", async () => shown({ issuer: await makeRoot("Mesh root") })],
  ["one of another authority, and that authority's", async () => withRoot(await makeRoot("Other root"))],
  ["one that a workload signed", () => underWorkload(false)],
  ["one that a workload which says it is an authority signed", () => underWorkload(true)],
  ["an authority's own", () => shown({ ca: true, keyUsage: KEY_CERT_SIGN | DIGITAL_SIGNATURE })],
  ["one that may sign certificates", () => shown({ keyUsage: KEY_CERT_SIGN | DIGITAL_SIGNATURE })],
  ["one for servers only", () => shown({ extendedKeyUsages: [SERVER_AUTH] })],
  ["one for signing code", () => shown({ extendedKeyUsages: [CODE_SIGNING] })],
  ["one with two workloads", () => shown(uris(ALICE, `${TRUST_DOMAIN}/ns/default/sa/bob`))],
  ["one with the same workload twice", () => shown(uris(ALICE, ALICE))],
  ["one with a workload and a web page", () => shown(uris(ALICE, "https://alice.example"))],
  ["one without a name", () => shown({ names: undefined })],
  ["one with the workload as a DNS name", () => shown({ names: [{ type: "dns", value: ALICE }] })],
  ["one with the workload as a mail address", () => shown({ names: [{ type: "email", value: ALICE }] })],
  ["one with the workload in the subject", () => shown({ name: ALICE, names: undefined })],
  ["one with a web page", () => shown(uris("https://cluster.local/ns/default/sa/alice"))],
  ["one of another trust domain", () => shown(uris("spiffe://other.example/ns/default/sa/alice"))],
  ["one of a longer trust domain", () => shown(uris("spiffe://cluster.local.evil/ns/default/sa/alice"))],
  ["one of a trust domain in capitals", () => shown(uris("spiffe://CLUSTER.LOCAL/ns/default/sa/alice"))],
  ["one with the scheme in capitals", () => shown(uris("SPIFFE://cluster.local/ns/default/sa/alice"))],
  ["one of the trust domain alone", () => shown(uris(TRUST_DOMAIN))],
  ["one that ends in a slash", () => shown(uris(`${ALICE}/`))],
  ["one with an empty segment", () => shown(uris(`${TRUST_DOMAIN}/ns//sa/alice`))],
  ["one with dots", () => shown(uris(`${TRUST_DOMAIN}/ns/x/../default/sa/alice`))],
  ["one with percent-encoding", () => shown(uris(`${TRUST_DOMAIN}/ns/default/sa/%61lice`))],
  ["one with a query", () => shown(uris(`${ALICE}?x=1`))],
  ["one with a fragment", () => shown(uris(`${ALICE}#x`))],
  ["one with a user", () => shown(uris("spiffe://user@cluster.local/ns/default/sa/alice"))],
  ["one with a port", () => shown(uris("spiffe://cluster.local:8443/ns/default/sa/alice"))],
  ["one with a NUL", () => shown(uris(`${ALICE}\u0000.evil`))],
  ["one with a space", () => shown(uris(`${ALICE} `))],
  ["one with a comma", () => shown(uris(`${ALICE}, URI:${ALICE}`))],
  ["one longer than an id may be", () => shown(uris(`${ALICE}${"x".repeat(2100)}`))],
];

async function selfSigned(more: ChainCertificateOptions): Promise<Shown> {
  const made = await makeCertificate({ ...LEAF, ...uris(ALICE), name: "alice", ...more });
  return { cert: made.pem, key: await keyOf(made) };
}

async function withRoot(other: ChainCertificate): Promise<Shown> {
  return shown({ issuer: other }, [other]);
}

/** Below a certificate of the mesh that is no authority. `claims`: it says that it is one, but was not made one by the root. */
async function underWorkload(claims: boolean): Promise<Shown> {
  const workload = await makeCertificate({ ...LEAF, issuer: root, name: "workload", ...uris(ALICE) });
  if (!claims) return shown({ issuer: workload }, [workload]);
  const forged = await makeCertificate({
    name: "workload",
    keys: workload.keys,
    ca: true,
    keyUsage: KEY_CERT_SIGN,
  });
  return shown({ issuer: forged }, [forged, workload]);
}

describe("in STRICT mode nobody comes in with", () => {
  test.each(BAD)("%s", async (_what, make) => {
    const bad = (await make()) ?? {};
    for (const port of [inboundPort, olderPort]) {
      const [session] = await goodSessions(port);
      for (const [way, options] of WAYS) {
        const fresh = await attempt({ ...bad, ...options, port });
        expect([way, fresh.in]).toEqual([way, false]);
      }
      // A session of somebody who was let in stands for nobody else.
      const resumed = await attempt({ ...bad, port, ...(session === undefined ? {} : { session }) });
      expect([resumed.in, resumed.resumed]).toEqual([false, false]);
    }
  });
});

test.each([
  "outbound_.9081_._.reviews.default.svc.cluster.local",
  "outbound_.9080_._.ratings.default.svc.cluster.local",
  "outbound_.9080_.v1_.reviews.default.svc.cluster.local",
  "reviews.default.svc.cluster.local",
  `${SNI}.`,
  `x${SNI}`,
  "localhost",
  "",
])(
  "in STRICT mode a good certificate with the server name %j comes to no other port, with a session or without",
  async (servername) => {
    const [session] = await goodSessions();
    expect((await attempt({ ...good, servername })).in).toBe(false);
    expect((await attempt({ ...good, servername, ...(session && { session }) })).in).toBe(false);
  },
);

test("in STRICT mode a session brings nothing: neither in 1.3 nor in 1.2, neither ticket nor id", async () => {
  const sessions = await goodSessions();
  expect(sessions.length).toBeGreaterThan(0);
  for (const session of sessions) {
    for (const [, options] of WAYS) {
      const outcome = await attempt({ ...options, session });
      expect([outcome.in, outcome.resumed]).toEqual([false, false]);
    }
    expect(await attempt({ ...good, session })).toMatchObject({ in: true, resumed: false });
  }
});

test("in STRICT mode a session of TLS 1.2 brings nothing where that is taken, and nobody negotiates anew", async () => {
  const older = { ...good, port: olderPort, maxVersion: "TLSv1.2" } as const;
  expect((await attempt({ ...older, port: inboundPort })).in).toBe(false);
  const sessions = await goodSessions(olderPort);
  expect(sessions.length).toBeGreaterThan(0);
  for (const session of sessions) {
    for (const [, options] of WAYS) {
      const outcome = await attempt({ ...options, session, port: olderPort });
      expect([outcome.in, outcome.resumed]).toEqual([false, false]);
    }
    expect(await attempt({ ...older, session })).toMatchObject({ in: true, resumed: false });
  }
  expect(await renegotiation(older)).not.toBe("renegotiated");
});

test("in STRICT mode plaintext is not heard, whatever it pretends to be", async () => {
  const hello = Buffer.from("160301", "hex");
  const pretences: readonly ((path: string) => Buffer | string)[] = [
    (path) => `GET ${path} HTTP/1.1\r\nhost: reviews:9080\r\n\r\n`,
    (path) => `GET ${path} HTTP/1.0\r\n\r\n`,
    (path) => `GET http://reviews:9080${path} HTTP/1.1\r\nhost: reviews:9080\r\n\r\n`,
    (path) =>
      `CONNECT reviews:9080 HTTP/1.1\r\nhost: reviews:9080\r\n\r\nGET ${path} HTTP/1.1\r\nhost: reviews\r\n\r\n`,
    (path) => `GET ${path} HTTP/1.1\r\nhost: reviews\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n`,
    (path) => `GET ${path} HTTP/1.1\r\nhost: reviews\r\nx-forwarded-client-cert: By=x;URI=${ALICE}\r\n\r\n`,
    (path) => `PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET ${path} HTTP/1.1\r\nhost: reviews\r\n\r\n`,
    (path) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${path}`,
    (path) => Buffer.concat([hello, Buffer.from(`GET ${path} HTTP/1.1\r\nhost: reviews\r\n\r\n`)]),
    (path) => Buffer.concat([Buffer.from([0]), Buffer.from(`GET ${path} HTTP/1.1\r\nhost: reviews\r\n\r\n`)]),
    (path) => `\r\nGET ${path} HTTP/1.1\r\nhost: reviews\r\n\r\n`,
    (path) => `\u0016GET ${path} HTTP/1.1\r\nhost: reviews\r\n\r\n`,
  ];
  const outcomes = await Promise.all(pretences.map(attemptBytes));
  expect(outcomes.filter((outcome) => outcome.in)).toEqual([]);
});

test("in STRICT mode a certificate that has run out ends what its session could have gone on with", async () => {
  const brief = await shown({ notAfter: Date.now() + 2500 });
  const outcome = await attempt(brief);
  expect(outcome.in).toBe(true);
  await eventually(async () => !(await attempt(brief)).in);
  for (const session of outcome.sessions) expect((await attempt({ ...brief, session })).in).toBe(false);
});

test("in STRICT mode a root that was taken out lets nobody in any more, new or with a session; its successor does", async () => {
  const [session] = await goodSessions();
  const next = await makeRoot("Next root");
  identity.rotate(await svidOf(next));
  for (const port of [inboundPort, olderPort]) {
    for (const [, options] of WAYS) {
      expect((await attempt({ ...good, ...options, port })).in).toBe(false);
      expect((await attempt({ ...good, ...options, port, ...(session && { session }) })).in).toBe(false);
    }
  }
  expect((await attempt(await shown({ issuer: next }))).in).toBe(true);
  identity.rotate(await svidOf(root));
  expect((await attempt(good)).in).toBe(true);
});

test("in STRICT mode a certificate that was revoked lets nobody in any more, new or with a session; others do", async () => {
  const mallory = await makeCertificate({ ...LEAF, issuer: root, ...uris(ALICE) });
  const bad = { cert: mallory.pem, key: await keyOf(mallory) };
  const middle = await makeCertificate({ name: "Middle", ca: true, keyUsage: KEY_CERT_SIGN, issuer: root });
  const below = await shown({ issuer: middle }, [middle]);
  const [session] = (await attempt(bad)).sessions;
  const [older] = (await attempt({ ...bad, port: olderPort, maxVersion: "TLSv1.2" })).sessions;
  expect([(await attempt(bad)).in, (await attempt(below)).in]).toEqual([true, true]);
  const before = identity.current();
  identity.rotate({
    ...before,
    // Late, too: what is in it counts on.
    revocationListsPem: await makeRevocationList({
      issuer: root,
      revoked: [mallory, middle],
      nextUpdate: Date.now() - 1000,
    }),
  });
  for (const shownNow of [bad, below]) {
    for (const port of [inboundPort, olderPort]) {
      for (const [way, options] of WAYS) {
        expect([way, (await attempt({ ...shownNow, ...options, port })).in]).toEqual([way, false]);
        for (const known of [session, older]) {
          const again = await attempt({ ...shownNow, ...options, port, ...(known && { session: known }) });
          expect([way, again.in, again.resumed]).toEqual([way, false, false]);
        }
      }
    }
  }
  expect((await attempt(good)).in).toBe(true);
  identity.rotate(before);
  expect((await attempt(bad)).in).toBe(true);
});

test("there were at least 500 attempts", () => {
  expect(attempts).toBeGreaterThanOrEqual(500);
});
