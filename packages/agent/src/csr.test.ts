import "reflect-metadata";
import { createPublicKey } from "node:crypto";

import * as x509 from "@peculiar/x509";
import { expect, test } from "vitest";

import { createSigningRequest } from "./csr.js";

const ID = "spiffe://cluster.local/ns/default/sa/reviews";

test("createSigningRequest makes a PKCS#10 request that another implementation reads and verifies", async () => {
  const { csrPem, privateKeyPem } = createSigningRequest(ID);
  const request = new x509.Pkcs10CertificateRequest(csrPem);
  expect(await request.verify()).toBe(true);
  expect(request.subject).toBe("");
  const [extension, ...others] = request.getExtensions("2.5.29.17");
  expect(others).toEqual([]);
  expect(extension?.critical).toBe(true);
  const names = new x509.SubjectAlternativeNameExtension(
    extension?.rawData ?? new ArrayBuffer(0),
  ).names.toJSON();
  expect(names).toEqual([{ type: "url", value: ID }]);
  const spki = createPublicKey(privateKeyPem).export({ type: "spki", format: "der" });
  expect(Buffer.compare(spki, Buffer.from(request.publicKey.rawData))).toBe(0);
});

test("createSigningRequest makes a new key each time", () => {
  expect(createSigningRequest(ID).privateKeyPem).not.toBe(createSigningRequest(ID).privateKeyPem);
});
