import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { key } from "./contract/resource-store.contract.js";
import { openLmdbStores } from "./open.js";

const KILLS = 25;
const writer = fileURLToPath(new URL("testdata/crash-writer.mjs", import.meta.url));

test(`kill -9 at ${KILLS} random moments loses no acknowledged write`, { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "tulle-crash-"));
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = lcg(seed);
  console.log(`seed ${seed}`);
  const acknowledged: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const first = (acknowledged.at(-1) ?? -1) + 1000;
    acknowledged.push(...(await writeUntilKilled(directory, first, 1 + Math.floor(random() * 200))));
    const stores = openLmdbStores({ directory, clock: new FakeClock() });
    for (const n of acknowledged) {
      const object = await stores.resources.get(key(`o${n}`));
      expect(object?.spec, `object ${n}, seed ${seed}`).toEqual({ n, fill: `o${n}`.repeat(400) });
      expect((await stores.coordination.get(`o${n}`))?.value[0]).toBe(n & 255);
    }
    await stores.close();
  }
  // Each round waited for at least one acknowledgement, so the test cannot pass by writing nothing.
  expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS);
  rmSync(directory, { recursive: true, force: true });
});

/** Starts the writer, kills it after `count` acknowledged writes, and gives the numbers that it acknowledged. */
async function writeUntilKilled(directory: string, first: number, count: number): Promise<number[]> {
  const child = spawn(process.execPath, [writer, directory, String(first)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  let failed = "";
  child.stderr.on("data", (chunk: Buffer) => (failed += chunk.toString()));
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
    if (printed.split("\n").length > count) child.kill("SIGKILL");
  });
  await once(child, "exit");
  await (child.stdout.readableEnded ? undefined : once(child.stdout, "end"));
  // The last line may be cut in the middle: only whole lines were acknowledged.
  const lines = printed.slice(0, printed.lastIndexOf("\n") + 1).split("\n");
  const numbers = lines.filter((line) => line !== "").map(Number);
  if (numbers.length === 0) throw new Error(`the writer wrote nothing: ${failed}`);
  return numbers.sort((a, b) => a - b);
}

function lcg(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
