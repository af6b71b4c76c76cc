import { X509Certificate } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { readCertificate } from "./certificate.js";
import { PathSearch } from "./path-search.js";
import { revocationListPem } from "./pem.js";
import { RevocationLists } from "./revocation-lists.js";

// NIST's Public Key Interoperability Test Suite, as Debian has it: each end entity's name says whether its path is good.

const PKITS = "/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data";
const DIRECTORY = `${PKITS}/certs`;
const FOUND = existsSync(DIRECTORY);
/** All of them are valid from 2010 to 2030 but where that is the question. */
const NOW = Date.UTC(2026, 0, 1);

const certificates = new Map(
  (FOUND ? readdirSync(DIRECTORY) : []).map((file) => [
    file.replace(/\.crt$/, ""),
    new X509Certificate(readFileSync(`${DIRECTORY}/${file}`)),
  ]),
);

const revocations = new RevocationLists(
  (FOUND ? readdirSync(`${PKITS}/crls`) : [])
    .map((file) => revocationListPem(readFileSync(`${PKITS}/crls/${file}`)))
    .join(""),
);

/** The certificates that may be above one, by their names. */
function above(certificate: X509Certificate): Set<X509Certificate> {
  const found = new Set<X509Certificate>();
  const look = (one: X509Certificate): void => {
    for (const other of certificates.values()) {
      if (found.has(other) || !one.checkIssued(other)) continue;
      found.add(other);
      look(other);
    }
  };
  look(certificate);
  return found;
}

function isTaken(name: string): boolean {
  const certificate = certificates.get(name)!;
  const facts = readCertificate(certificate.raw);
  if (facts === undefined || facts.constrained || facts.weakness !== undefined) return false;
  if (NOW < facts.notBefore || NOW >= facts.notAfter) return false;
  const root = certificates.get("TrustAnchorRootCertificate")!;
  const sent = [...above(certificate)].filter((one) => one !== root).map(({ raw }) => raw);
  const path = new PathSearch(sent, [root], { nowMs: NOW });
  return path.leadsUp(certificate, 0) && !path.isRevoked(revocations);
}

interface Deviation {
  readonly reason: string;
  readonly names: RegExp;
  readonly count: number;
}

/** Where the outcome is another than NIST's. */
const TAKEN: readonly Deviation[] = [
  {
    reason:
      "an authority without a list that can be used has taken nothing back; who takes lists from outside refuses such ones",
    names:
      /[cC]RL|Revoked|IDPwith|distributionPoint|onlyContains|onlySomeReasons|SeparateCertificate|LongSerial|NegativeSerial|(?:NewWithOldTest5|OldWithNewTest2)EE/,
    count: 39,
  },
];
const REFUSED: readonly Deviation[] = [
  {
    reason: "what is on one of an authority's lists is revoked, whatever others say",
    names: /TwoCRLs|deltaCRLTest5/,
    count: 2,
  },
  { reason: "authorities that limit names are not taken", names: /nameConstraints/, count: 16 },
  { reason: "authorities with critical policies are not taken", names: /Policy/, count: 19 },
  { reason: "DSA is not taken", names: /DSA/, count: 2 },
  {
    reason: "authorities that signed their own successor count for the length of a path",
    names: /SelfIssuedpathLenConstraint/,
    count: 2,
  },
];

function expectDeviations(found: readonly string[], deviations: readonly Deviation[]): void {
  for (const { reason, names, count } of deviations)
    expect([reason, found.filter((name) => names.test(name)).length]).toEqual([reason, count]);
  expect(found.filter((name) => !deviations.some(({ names }) => names.test(name)))).toEqual([]);
}

const named = (word: string): string[] =>
  [...certificates.keys()].filter((name) => name.startsWith(word) && /Test\d+EE$/.test(name));

test.skipIf(!FOUND)(
  "NIST's bad paths are refused (needs python3-cryptography-vectors; see scripts/peers.sh)",
  () => {
    const bad = named("Invalid");
    expect(bad.length).toBe(115);
    expectDeviations(bad.filter(isTaken), TAKEN);
  },
);

test.skipIf(!FOUND)(
  "NIST's good paths are taken (needs python3-cryptography-vectors; see scripts/peers.sh)",
  () => {
    const good = named("Valid");
    expect(good.length).toBe(88);
    expectDeviations(
      good.filter((name) => !isTaken(name)),
      REFUSED,
    );
  },
);
