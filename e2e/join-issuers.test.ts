import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { askWeb } from "./support/http.js";
import { publicRootOf } from "./support/https.js";
import { Mesh } from "./support/mesh.js";
import { svidOf, TRUST_DOMAIN } from "./support/svid.js";
import { clusterOf } from "./support/workload.js";

// Workloads join with tokens of a Kubernetes cluster and of a CI, whose keys the control plane fetches from their issuers. Nobody
// is let in without: the control plane asks for a login.

const CLUSTER = "https://kubernetes.default.svc.cluster.local";
const CI = "https://ci.example";

const files = mkdtempSync(join(tmpdir(), "tulle-issuers-"));
const keys = new Map(["cluster", "next", "ci", "stranger"].map((kid) => [kid, keyPair()]));
/** The keys that each issuer serves at its path. */
const served = new Map([
  ["/cluster", ["cluster"]],
  ["/ci", ["ci"]],
]);
let issuer: Server;
let mesh: Mesh;
let root: string;

function keyPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

interface TokenInit {
  readonly iss?: string;
  readonly aud?: string;
  readonly account?: string;
  readonly claims?: object;
  readonly exp?: number;
  readonly kid?: string;
  /** Whose key signs it; default `kid`'s. */
  readonly by?: string;
}

/** As a cluster projects it into a pod. */
function tokenOf({
  iss = CLUSTER,
  aud = "istio-ca",
  account = "web",
  claims,
  exp = 600,
  kid = "cluster",
  by = kid,
}: TokenInit): string {
  const now = Math.floor(Date.now() / 1000);
  const own = claims ?? { "kubernetes.io": { namespace: "default", serviceaccount: { name: account } } };
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const input = `${encode({ alg: "ES256", kid })}.${encode({ iss, aud: [aud], iat: now, exp: now + exp, ...own })}`;
  const { privateKey } = keys.get(by)!;
  const signature = sign("sha256", Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

beforeAll(async () => {
  issuer = createServer((request, response) => {
    const kids = served.get(request.url ?? "") ?? [];
    const jwks = kids.map((kid) => ({
      ...keys.get(kid)!.publicKey.export({ format: "jwk" }),
      kid,
      alg: "ES256",
      use: "sig",
    }));
    response.end(JSON.stringify({ keys: jwks }));
  });
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  const at = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  const file = join(files, "issuers.yaml");
  writeFileSync(
    file,
    `issuers:
- issuer: ${CLUSTER}
  audiences: [istio-ca]
  jwksUri: ${at}/cluster
- issuer: ${CI}
  audiences: [tulle]
  jwksUri: ${at}/ci
  claims: {repository: acme/shop, ref: refs/heads/main}
  namespace: default
  serviceAccount: ci-{repository_owner}
`,
  );
  mesh = await Mesh.start(["--require-login", "--join-issuers", file]);
  root = await publicRootOf(mesh.server);
  writeFileSync(join(files, "root.pem"), root);
}, 60_000);

afterAll(async () => {
  await mesh?.end();
  await new Promise((resolve) => issuer.close(resolve));
  rmSync(files, { recursive: true, force: true });
});

const CI_CLAIMS = { repository: "acme/shop", ref: "refs/heads/main", repository_owner: "acme" };

/** The id of who joins with a token, or why nobody does. */
async function joins(token: string, account = "web"): Promise<string> {
  const controlPlane = { address: mesh.addresses.xds, rootCertificatePem: root, trustDomain: TRUST_DOMAIN };
  try {
    return (await svidOf(controlPlane, account, { joinToken: token })).spiffeId;
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

test("workloads join with the token of their cluster or CI, and are known by it to each other", async () => {
  const environment = (token: string) => ({
    TULLE_JOIN_TOKEN: token,
    TULLE_CA_FILE: join(files, "root.pem"),
  });
  await mesh.run({ service: "web", environment: environment(tokenOf({})) });
  const job = await mesh.sidecar({
    service: "ci-acme",
    args: ["--upstream", "web:8080"],
    environment: environment(tokenOf({ iss: CI, aud: "tulle", kid: "ci", claims: CI_CLAIMS })),
  });
  await job.knows(clusterOf("web"), 1);
  const { headers } = await askWeb(job.upstream("web:8080"));
  expect(headers["x-forwarded-client-cert"]).toMatch(
    /^By=spiffe:\/\/cluster\.local\/ns\/default\/sa\/web;.*URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/ci-acme$/,
  );
}, 60_000);

test.each<[string, TokenInit, string | undefined, string]>([
  ["for somebody else", { aud: "vault" }, undefined, 'unexpected "aud" claim value'],
  ["that has expired", { exp: -120 }, undefined, '"exp" claim timestamp check failed'],
  ["of an issuer that nobody named", { iss: "https://elsewhere.example" }, undefined, "issuer"],
  [
    "under the issuer's name, signed by another",
    { by: "stranger" },
    undefined,
    "signature verification failed",
  ],
  ["of the other issuer's key", { kid: "ci" }, undefined, "no applicable key found"],
  ["of another account", { account: "reviews" }, undefined, "another identity"],
  [
    "of the control plane's own account",
    { claims: { "kubernetes.io": { namespace: "istio-system", serviceaccount: { name: "istiod" } } } },
    undefined,
    "not issued on request",
  ],
  [
    "of another branch",
    { iss: CI, aud: "tulle", kid: "ci", claims: { ...CI_CLAIMS, ref: "refs/pull/7" } },
    "ci-acme",
    "claim ref is not what it must be",
  ],
  [
    "whose claims are no name",
    { iss: CI, aud: "tulle", kid: "ci", claims: { ...CI_CLAIMS, repository_owner: "../web" } },
    "ci-acme",
    "give no service account",
  ],
])("nobody joins with a token %s", async (_what, init, account, why) => {
  expect(await joins(tokenOf(init), account)).toContain(why);
});

test("a key that the issuer has replaced is fetched anew", async () => {
  expect(await joins(tokenOf({}))).toBe("spiffe://cluster.local/ns/default/sa/web");
  served.set("/cluster", ["next"]);
  await eventually(async () => (await joins(tokenOf({ kid: "next" }))).startsWith("spiffe://"), 20_000);
  expect(await joins(tokenOf({}))).toContain("no applicable key found");
}, 40_000);
