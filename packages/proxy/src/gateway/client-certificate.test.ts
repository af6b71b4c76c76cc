import { createHash, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

import type { ServerTls } from "@tulle/engine";
import { createTestAuthority } from "@tulle/testkit";
import { expect, test } from "vitest";

import { judgeClient } from "./client-certificate.js";

const authority = await createTestAuthority();
const { certificateChainPem } = await authority.issue({
  uris: ["spiffe://partner/shop"],
  dnsNames: ["shop.example.com"],
  commonName: 'a"b\\c',
});
const certificate = new X509Certificate(certificateChainPem);

const socketWith = (raw: Buffer | undefined, authorized = true): TLSSocket =>
  ({ getPeerCertificate: () => ({ raw }), authorized, authorizationError: "no" }) as unknown as TLSSocket;

const tls = (more: Partial<ServerTls>): ServerTls => ({
  key: "",
  checks: "",
  certificates: [],
  clients: "required",
  trust: undefined,
  crl: undefined,
  names: [],
  spki: [],
  hashes: [],
  alpn: [],
  settings: { minVersion: "TLSv1.2", maxVersion: "TLSv1.3", ciphers: [], curves: [], key: "" },
  ...more,
});

const judge = (more: Partial<ServerTls>, socket = socketWith(certificate.raw)) =>
  judgeClient(socket, tls(more));
const hash = createHash("sha256").update(certificate.raw).digest("hex");
const spki = createHash("sha256")
  .update(certificate.publicKey.export({ type: "spki", format: "der" }))
  .digest("base64");

test("where nothing is verified everybody is let in, and the application told of what holds", () => {
  const clients = "unverified";
  expect(judge({ clients })).toEqual(judge({}));
  expect(judge({ clients }, socketWith(certificate.raw, false))).toEqual({ forwardedClientCert: "" });
  expect(judge({ clients }, socketWith(undefined, false))).toEqual({ forwardedClientCert: "" });
  expect(judge({ clients: "optional" }, socketWith(certificate.raw, false))).toHaveProperty("refused");
});

test("a certificate is told in Envoy's form, and cannot break out of it", () => {
  const told = judge({});
  expect("forwardedClientCert" in told && told.forwardedClientCert).toMatch(
    // The subject's own quotes are escaped.
    /^Hash=[0-9a-f]{64};Subject="CN=(?:[^"\\]|\\.)+";URI=spiffe:\/\/partner\/shop;DNS=shop\.example\.com$/,
  );
});

test.each<[string, Partial<ServerTls>]>([
  ["its URI", { names: [{ type: "uri", value: "spiffe://partner/shop" }] }],
  ["its DNS name, in any case", { names: [{ type: "dns", value: "SHOP.example.com" }] }],
  ["its hash", { hashes: [hash] }],
  ["its key", { spki: [spki], hashes: ["0".repeat(64)] }],
])("a client is let in by %s", (_what, more) => {
  expect(judge(more)).toHaveProperty("forwardedClientCert");
});

test.each<[string, Partial<ServerTls>]>([
  ["another URI", { names: [{ type: "uri", value: "spiffe://partner/shop2" }] }],
  ["a DNS name that is its URI", { names: [{ type: "dns", value: "spiffe://partner/shop" }] }],
  ["another hash", { hashes: ["0".repeat(64)] }],
  ["another key", { spki: ["A".repeat(43)] }],
])("a client is refused by %s", (_what, more) => {
  expect(judge(more)).toHaveProperty("refused");
});

test("without a certificate a client comes in where none is required; with a bad one nowhere", () => {
  const none = socketWith(undefined);
  expect(judge({ clients: "optional" }, none)).toEqual({ forwardedClientCert: "" });
  expect(judge({}, none)).toHaveProperty("refused");
  expect(judge({ clients: "optional" }, socketWith(certificate.raw, false))).toHaveProperty("refused");
  // Nobody asked for it: it says nothing.
  expect(judge({ clients: "none" })).toEqual({ forwardedClientCert: "" });
});

test("a name inside of another name is nobody's name, and a subject may be empty", async () => {
  // As text, the names of this certificate read like three, the second of them the administrator's.
  const { certificateChainPem: chain } = await authority.issue({
    uris: ["urn:a, DNS:admin.example.org, URI:urn:b"],
  });
  const { raw } = new X509Certificate(chain);
  const names = [{ type: "dns", value: "admin.example.org" }] as const;
  expect(judge({ names }, socketWith(raw))).toHaveProperty("refused");
  const sha256 = createHash("sha256").update(raw).digest("hex");
  expect(judge({}, socketWith(raw))).toEqual({ forwardedClientCert: `Hash=${sha256};Subject=""` });
});
