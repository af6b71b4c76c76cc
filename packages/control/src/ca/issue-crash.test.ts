import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { silentLogger } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { openLmdbStores } from "../stores/open.js";
import { createCertificateAuthority } from "./certificate-authority.js";

/** The long run: `CA_KILLS=200 npx vitest run packages/control/src/ca/issue-crash.test.ts`. */
const KILLS = Number(process.env["CA_KILLS"] ?? 5);
const issuer = fileURLToPath(new URL("testdata/issuer.mjs", import.meta.url));

test(
  `kill -9 at ${KILLS} random moments loses no record of a certificate, gives no serial number twice, and leaves a root`,
  { timeout: 60_000 + KILLS * 15_000 },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "tulle-ca-crash-"));
    const given: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      given.push(...(await issueUntilKilled(directory, 1 + Math.floor(Math.random() * 60))));
      const clock = new FakeClock(Date.now());
      const stores = openLmdbStores({ directory, clock });
      const recorded = new Set(
        (await stores.coordination.range("ca/issued/")).map(({ key }) => key.split("/").at(-1)),
      );
      expect(given.filter((serial) => !recorded.has(serial))).toEqual([]);
      const authority = await createCertificateAuthority({
        coordination: stores.coordination,
        clock,
        trustDomain: "cluster.local",
        logger: silentLogger,
      });
      const active = authority.signer.certificates().filter(({ phase }) => phase === "active");
      expect(active).toHaveLength(1);
      authority[Symbol.dispose]();
      await stores.close();
    }
    expect(new Set(given).size).toBe(given.length);
    // Each round waited for at least one certificate, so the test cannot pass by issuing nothing.
    expect(given.length).toBeGreaterThanOrEqual(KILLS);
    console.log(`${given.length} certificates, ${KILLS} kills`);
    rmSync(directory, { recursive: true, force: true });
  },
);

/** Starts the issuer, kills it after `count` certificates, and gives the serial numbers that it told. */
async function issueUntilKilled(directory: string, count: number): Promise<string[]> {
  const child = spawn(process.execPath, [issuer, directory], { stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  let failed = "";
  child.stderr.on("data", (chunk: Buffer) => (failed += chunk.toString()));
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
    if (printed.split("\n").length > count) child.kill("SIGKILL");
  });
  await once(child, "exit");
  await (child.stdout.readableEnded ? undefined : once(child.stdout, "end"));
  // The last line may be cut in the middle: only whole lines were told.
  const lines = printed
    .slice(0, printed.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "");
  if (lines.length === 0) throw new Error(`the issuer issued nothing: ${failed}`);
  return lines;
}
