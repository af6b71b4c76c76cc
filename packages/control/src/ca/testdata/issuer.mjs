// Issues certificates as fast as it can, from the store in argv[2], and prints the serial number of each one that it has
// got. The test kills it. It replaces its root all the time, too.
import { writeSync } from "node:fs";

import { createSigningRequest } from "@tulle/agent";
import { silentLogger, systemClock } from "@tulle/base";

import { createCertificateAuthority } from "../../../dist/ca/certificate-authority.js";
import { RootRollover } from "../../../dist/ca/root-rollover.js";
import { openLmdbStores } from "../../../dist/stores/open.js";

const SPIFFE_ID = "spiffe://cluster.local/ns/default/sa/reviews";
const stores = openLmdbStores({ directory: process.argv[2], clock: systemClock });
const authority = await createCertificateAuthority({
  coordination: stores.coordination,
  clock: systemClock,
  trustDomain: "cluster.local",
  certificateTtlMs: 3_600_000,
  logger: silentLogger,
});
const distribution = { pending: [], onAccepted: () => ({ [Symbol.dispose]: () => undefined }) };
const rollover = new RootRollover({ authority, distribution, clock: systemClock, logger: silentLogger });
await rollover.start();

const { csrPem } = createSigningRequest(SPIFFE_ID);
const issueForEver = async () => {
  for (;;) {
    const { serialNumber } = await authority.issue({ csrPem, spiffeId: SPIFFE_ID });
    // At once: what is buffered would be lost with the process.
    writeSync(1, `${serialNumber}\n`);
  }
};
void rollover.rotate().catch(() => undefined);
await Promise.all([issueForEver(), issueForEver(), issueForEver(), issueForEver()]);
