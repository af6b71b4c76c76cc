import { createTestAuthority } from "@tulle/testkit";
import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";

import { certificatePem, joinPem, splitPem } from "./pem.js";

test("joinPem keeps each certificate once, in order", async () => {
  const a = (await createTestAuthority()).rootCertificatePem;
  const b = (await createTestAuthority()).rootCertificatePem;
  expect(joinPem([a, "", `${a}${b}`])).toBe(`${a}${b}`);
  expect(splitPem(`${a}noise\n${b}`)).toEqual([a, b]);
});

test("certificatePem writes what splitPem reads", async () => {
  const pem = (await createTestAuthority()).rootCertificatePem;
  expect(new X509Certificate(certificatePem(new X509Certificate(pem).raw)).toString()).toBe(
    new X509Certificate(pem).toString(),
  );
});
