import "reflect-metadata";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createLogger, Emitter, silentLogger, type Logger } from "@tulle/base";
import { createTestAuthority, eventually, FakeClock, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createMemoryStores, type Stores } from "../../stores/open.js";
import { createCertificateAuthority, type CertificateAuthority } from "../certificate-authority.js";
import { JwtAuthority } from "../jwt-authority.js";
import { MeshTrust } from "../mesh-trust.js";
import { formatBundle, parseBundle } from "./bundle-document.js";
import { serveBundle } from "./bundle-endpoint.js";
import { Federation, type FederatedTrustDomain } from "./federation.js";

let clock: FakeClock;
let stores: Stores;
let directory: string;
let authority: CertificateAuthority;
let trust: MeshTrust;
let closers: (() => unknown)[];

beforeEach(async () => {
  clock = new FakeClock(Date.now());
  stores = createMemoryStores({ clock });
  directory = await mkdtemp(join(tmpdir(), "tulle-federation-"));
  closers = [];
  ({ authority, trust } = await mesh("ours.example", stores));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(directory, { recursive: true, force: true });
});

async function mesh(trustDomain: string, { coordination }: Stores) {
  const options = { coordination, clock, trustDomain, logger: silentLogger };
  const signs = await createCertificateAuthority(options);
  const jwtAuthority = await JwtAuthority.open(options);
  const { signer } = signs;
  return {
    authority: signs,
    trust: new MeshTrust({ signer, jwtAuthority, trustDomain, trustDomainAliases: [], graceMs: 0 }),
  };
}

async function open(
  domain: Partial<FederatedTrustDomain>,
  logger: Logger = silentLogger,
): Promise<Federation> {
  const federation = await Federation.open({
    domains: [{ trustDomain: "theirs.example", ...domain }],
    trust,
    ownDomains: ["ours.example"],
    coordination: stores.coordination,
    clock,
    random: () => 0.5,
    logger,
  });
  closers.push(() => federation[Symbol.dispose]());
  return federation;
}

test("two meshes learn each other's bundles over https_spiffe, and follow them", async () => {
  const theirs = await mesh("theirs.example", createMemoryStores({ clock }));
  let own = await theirs.authority.serverCertificate(["localhost"], ["127.0.0.1"]);
  const rotated = new Emitter<void>();
  const endpoint = await serveBundle({
    address: "127.0.0.1",
    port: 0,
    trust: theirs.trust,
    certificates: { current: () => own, onRotated: rotated.event },
    clock,
  });
  closers.push(() => endpoint.close());
  const bundleFile = join(directory, "bundle.json");
  const bundle = { x509Pem: theirs.trust.bundles["theirs.example"]!, jwks: '{"keys":[]}' };
  await writeFile(bundleFile, formatBundle(bundle));
  let changes = 0;
  trust.onChanged(() => changes++);
  await open({ endpoint: `https://127.0.0.1:${endpoint.port}/`, bundleFile });
  // From the file first, then with the keys of JWT-SVIDs from the endpoint.
  expect(trust.bundles["theirs.example"]).toBe(bundle.x509Pem);
  await clock.advance(1);
  await eventually(() => changes === 2);
  expect(JSON.parse(trust.jwtBundles["theirs.example"]!)).toMatchObject({
    keys: [{ kty: "EC", use: "jwt-svid" }],
  });
  expect(trust.bundles["ours.example"]).toBe(authority.signer.trustBundlePem);

  const { SelfSignedSigner } = await import("../self-signed-signer.js");
  const { signer } = theirs.authority;
  if (!(signer instanceof SelfSignedSigner)) throw new Error("another signer");
  await signer.carryOut({ kind: "prepare" }, 0);
  own = await theirs.authority.serverCertificate(["localhost"], ["127.0.0.1"]);
  rotated.emit();
  await clock.advance(60_000);
  await eventually(() => trust.bundles["theirs.example"] === signer.trustBundlePem);
  expect(changes).toBe(3);
});

/** An endpoint that answers what a test wants. */
async function endpointOf(
  theirs: TestAuthority,
  answer: () => string,
  options: Parameters<TestAuthority["issue"]>[0] = { namespace: "istio-system", serviceAccount: "istiod" },
): Promise<string> {
  const own = await theirs.issue(options);
  const server: Server = createServer(
    { cert: own.certificateChainPem, key: own.privateKeyPem },
    (_request, response) => response.end(answer()),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/bundle`;
}

test("an endpoint that is somebody else, or that serves nonsense or an older bundle, changes nothing", async () => {
  const theirs = await createTestAuthority({ trustDomain: "theirs.example" });
  const other = await createTestAuthority({ trustDomain: "theirs.example" });
  const bundleFile = join(directory, "bundle.json");
  const good = { x509Pem: theirs.rootCertificatePem, jwks: "{}", sequence: 7 };
  const changed = formatBundle({ ...good, x509Pem: other.rootCertificatePem, sequence: 8 });
  await writeFile(bundleFile, formatBundle(good));
  let asked = 0;
  const answering = (text: string) => () => {
    asked++;
    return text;
  };
  const endpoints = [
    // Another authority under the same name, another workload of the right one.
    await endpointOf(other, answering(changed)),
    await endpointOf(theirs, answering(changed), { serviceAccount: "reviews" }),
    await endpointOf(theirs, answering("no JSON")),
    await endpointOf(theirs, answering('{"keys":[]}')),
    await endpointOf(
      theirs,
      answering(formatBundle({ ...good, x509Pem: other.rootCertificatePem, sequence: 6 })),
    ),
  ];
  for (const endpoint of endpoints) {
    const logged: string[] = [];
    const logger = createLogger({ now: () => clock.now(), write: (line) => logged.push(line) });
    const federation = await open({ endpoint, bundleFile }, logger);
    await clock.advance(1);
    await eventually(() => logged.some((line) => line.includes("cannot fetch the bundle")));
    expect(trust.bundles["theirs.example"], endpoint).toBe(theirs.rootCertificatePem);
    federation[Symbol.dispose]();
  }
  expect(asked).toBeGreaterThanOrEqual(3);
  await open({ endpoint: await endpointOf(theirs, answering(changed)), bundleFile });
  await clock.advance(1);
  await eventually(() => trust.bundles["theirs.example"] === other.rootCertificatePem);
  // The last good one is known after a restart, whatever the file says.
  ({ trust } = await mesh("ours.example", stores));
  await open({ endpoint: endpoints[2]!, bundleFile });
  expect(trust.bundles["theirs.example"]).toBe(other.rootCertificatePem);
});

test.each<[string, Partial<FederatedTrustDomain>]>([
  ["the own trust domain", { trustDomain: "ours.example", bundleFile: "x" }],
  ["no trust domain", { trustDomain: "Not One", bundleFile: "x" }],
  ["neither endpoint nor file", {}],
  ["plain HTTP", { endpoint: "http://a/", bundleFile: "x" }],
  ["no first bundle for https_spiffe", { endpoint: "https://a/" }],
  [
    "an endpoint's id of another domain",
    { endpoint: "https://a/", bundleFile: "x", endpointSpiffeId: "spiffe://b/c" },
  ],
  ["a file that is not there", { bundleFile: "/nonexistent" }],
])("federation refuses %s", async (_what, domain) => {
  await expect(open(domain)).rejects.toMatchObject({ kind: "invalid", code: "CA_FEDERATION" });
});

test.each([
  "",
  "[]",
  "null",
  '{"keys":{}}',
  '{"keys":[{"use":"x509-svid"}]}',
  '{"keys":[{"use":"x509-svid","x5c":["AAAA"]}]}',
  '{"keys":[{"use":"x509-svid","x5c":[1]}]}',
  '{"keys":[{"kty":"EC"}]}',
  JSON.stringify({ keys: Array.from({ length: 101 }, () => ({ use: "other" })) }),
])("parseBundle refuses %j", (text) => {
  expect(() => parseBundle(text)).toThrow(expect.objectContaining({ code: "CA_BUNDLE" }));
});

test("parseBundle takes no leaf for a root, keeps no private part, and passes over other uses", async () => {
  const theirs = await createTestAuthority({ trustDomain: "theirs.example" });
  const leaf = (await theirs.issue()).certificateChainPem;
  expect(() => parseBundle(formatBundle({ x509Pem: leaf, jwks: "{}" }))).toThrow();
  const jwk = { kty: "EC", kid: "a", crv: "P-256", x: "AA", y: "AA", d: "secret" };
  const text = formatBundle({
    x509Pem: theirs.rootCertificatePem,
    jwks: JSON.stringify({ keys: [jwk] }),
    refreshHint: 9,
  });
  const document = JSON.parse(text) as { keys: object[] };
  document.keys.push(
    { ...jwk, use: "sig" },
    { ...jwk, use: undefined },
    { ...jwk, kid: "", use: "jwt-svid" },
  );
  const bundle = parseBundle(JSON.stringify(document));
  expect(bundle).toMatchObject({ x509Pem: theirs.rootCertificatePem, refreshHint: 9 });
  expect(JSON.parse(bundle.jwks)).toEqual({
    keys: [{ kty: "EC", kid: "a", crv: "P-256", x: "AA", y: "AA", use: "jwt-svid" }],
  });
});
