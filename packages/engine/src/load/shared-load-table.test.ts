import { Worker } from "node:worker_threads";

import { build } from "esbuild";
import { expect, test } from "vitest";

import { loadTableContract } from "./contract/load-table.contract.js";
import { NO_SLOT } from "./load-table.js";
import { createSharedLoadTable, openSharedLoadTable } from "./shared-load-table.js";

loadTableContract("shared load table", createSharedLoadTable);

test("a holder finds the slots that it was told of, and counts in the same rows", () => {
  const owner = createSharedLoadTable({ maxSlots: 8 });
  const slot = owner.acquire("a");
  const holder = openSharedLoadTable(owner.shared);
  expect(holder.acquire("a")).toBe(-1);
  holder.assign(owner.entries());
  expect(holder.acquire("a")).toBe(slot);
  holder.begin(NO_SLOT, slot, true);
  holder.addConnections(slot, 1);
  holder.observe(slot, 40, false, 0);
  holder.setWarmSince(slot, 7);
  expect([owner.inFlight(slot), owner.connections(slot), owner.latencyMs(slot)]).toEqual([1, 1, 40]);
  expect([owner.expectedMs(slot, 0), owner.warmSince(slot)]).toEqual([40, 7]);
  expect([owner.retriesInFlight(NO_SLOT), owner.clusterInFlight(NO_SLOT)]).toEqual([1, 1]);
  expect([owner.turn(slot), holder.turn(slot), owner.turn(slot)]).toEqual([0, 1, 2]);
});

test("takeChanges tells a holder what was assigned and freed, in whatever order it happened", () => {
  const owner = createSharedLoadTable({ maxSlots: 3 });
  const holder = openSharedLoadTable(owner.shared);
  const follow = (): void => {
    const { assigned, freed } = owner.takeChanges();
    holder.assign(assigned);
    holder.free(freed);
  };
  const first = owner.acquire("a");
  follow();
  owner.release(first);
  const second = owner.acquire("a");
  expect(second).not.toBe(first);
  follow();
  expect(holder.acquire("a")).toBe(second);
  owner.release(second);
  follow();
  expect(holder.acquire("a")).toBe(-1);
  expect(owner.takeChanges()).toEqual({ assigned: [], freed: [] });
});

test("the owner hands a slot to nobody else while another thread has a request on it", () => {
  const owner = createSharedLoadTable({ maxSlots: 2 });
  const slot = owner.acquire("a");
  const holder = openSharedLoadTable(owner.shared);
  holder.begin(NO_SLOT, slot);
  owner.release(slot);
  expect(owner.acquire("b")).toBe(-1);
  holder.end(NO_SLOT, slot);
  expect(owner.acquire("b")).toBe(slot);
});

test("nothing that three threads count at the same time is lost", async () => {
  const owner = createSharedLoadTable({ maxSlots: 8, seed: 0 });
  const [cluster, endpoint] = [owner.acquire("cluster:x"), owner.acquire("a")];
  const rounds = 200_000;
  const code = await threadCode();
  const ended = Array.from({ length: 3 }, () => {
    const workerData = { shared: owner.shared, cluster, endpoint, rounds };
    const worker = new Worker(code, { eval: true, workerData });
    return new Promise<number>((resolve, reject) => worker.once("error", reject).once("exit", resolve));
  });
  expect(await Promise.all(ended)).toEqual([0, 0, 0]);
  // Each thread ends every second request that it began, and closes every second connection.
  const left = (3 * rounds) / 2;
  expect([owner.clusterInFlight(cluster), owner.inFlight(endpoint)]).toEqual([left, left]);
  expect([owner.connections(cluster), owner.pending(cluster)]).toEqual([left, left]);
  expect(owner.retriesInFlight(cluster)).toBe(left);
  expect(owner.turn(cluster)).toBe(3 * rounds);
}, 60_000);

/** The table and a thread that hammers it, as JavaScript: worker threads do not go through vitest. */
async function threadCode(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: THREAD, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
  });
  return outputFiles[0]!.text;
}

const THREAD = `
import { workerData } from "node:worker_threads";
import { openSharedLoadTable } from "./shared-load-table.js";

const { shared, cluster, endpoint, rounds } = workerData;
const load = openSharedLoadTable(shared);
for (let round = 0; round < rounds; round++) {
  load.begin(cluster, endpoint, true);
  load.addConnections(cluster, 1);
  load.addPending(cluster, 1);
  load.turn(cluster);
  if (round % 2 === 0) continue;
  load.end(cluster, endpoint, true);
  load.addConnections(cluster, -1);
  load.addPending(cluster, -1);
}
`;
