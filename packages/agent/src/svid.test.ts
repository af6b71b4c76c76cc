import { createTestAuthority } from "@tulle/testkit";
import { expect, test } from "vitest";

import { isTrustedBy, parseSvid } from "./svid.js";

test("parseSvid takes key, chain and roots that belong together", async () => {
  const authority = await createTestAuthority();
  const issued = await authority.issue({ serviceAccount: "reviews" });
  expect(parseSvid(issued)).toEqual(issued);
  expect(isTrustedBy(parseSvid(issued), authority.rootCertificatePem)).toBe(true);
});

test("parseSvid refuses a foreign key, a foreign root, an authority and what does not parse", async () => {
  const authority = await createTestAuthority();
  const foreign = await createTestAuthority();
  const issued = await authority.issue();
  const other = await authority.issue();
  for (const broken of [
    { ...issued, privateKeyPem: other.privateKeyPem },
    { ...issued, trustBundlePem: foreign.rootCertificatePem },
    { ...issued, trustBundlePem: "" },
    { ...issued, trustBundlePem: other.certificateChainPem },
    { ...issued, certificateChainPem: "" },
    { ...issued, certificateChainPem: authority.rootCertificatePem },
    { ...issued, certificateChainPem: issued.certificateChainPem.replace("MII", "AAA") },
    { ...issued, privateKeyPem: "undefined" },
    await authority.issue({ ca: true }),
    await authority.issue({ uris: [] }),
  ]) {
    expect(() => parseSvid(broken)).toThrow(expect.objectContaining({ code: "AGENT_BAD_SVID" }));
  }
  expect(isTrustedBy(parseSvid(issued), foreign.rootCertificatePem)).toBe(false);
});
