import { createHash, X509Certificate } from "node:crypto";

import type { PeerCertificate } from "node:tls";
import { createTestAuthority, type TestCertificateOptions } from "@tulle/testkit";
import { expect, test } from "vitest";

import { judgeClient } from "./client-certificate.js";

const authority = await createTestAuthority();

async function clientWith(options: TestCertificateOptions) {
  const { certificateChainPem } = await authority.issue(options);
  const { raw } = new X509Certificate(certificateChainPem);
  return {
    hash: createHash("sha256").update(raw).digest("hex"),
    socket: {
      authorized: true,
      authorizationError: null as unknown as Error,
      getPeerCertificate: () => ({ raw }) as PeerCertificate,
    },
  };
}

const ANYBODY = { clients: "required", names: [], spki: [], hashes: [] } as const;
const ONLY_ADMIN = { ...ANYBODY, names: [{ type: "dns", value: "admin.example.org" }] } as const;

test("a name inside of another name is nobody's name", async () => {
  // As text, the names of this certificate read like three, the second of them the administrator's.
  const { socket, hash } = await clientWith({ uris: ["urn:a, DNS:admin.example.org, URI:urn:b"] });
  expect(judgeClient(socket, ONLY_ADMIN)).toEqual({
    refused: "the certificate has none of the names that are let in",
  });
  expect(judgeClient(socket, ANYBODY)).toEqual({ forwardedClientCert: `Hash=${hash};Subject=""` });
});

/** A quote stands escaped in a subject (RFC 4514), and that text is escaped again inside of quotes. */
test("a client with the name is let in, and its names are told", async () => {
  const { socket, hash } = await clientWith({
    uris: ["spiffe://example.org/admin"],
    dnsNames: ["Admin.example.org"],
    commonName: 'a"b',
  });
  expect(judgeClient(socket, ONLY_ADMIN)).toEqual({
    forwardedClientCert: `Hash=${hash};Subject="CN=a\\\\\\"b";URI=spiffe://example.org/admin;DNS=Admin.example.org`,
  });
});

test("a wildcard in a client's certificate is nobody's name", async () => {
  const { socket } = await clientWith({ dnsNames: ["*.example.org"] });
  expect(judgeClient(socket, ONLY_ADMIN)).toHaveProperty("refused");
});
