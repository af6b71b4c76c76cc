/**
 * Nanoseconds that counting one request in the load table takes, for one thread and for several: `node bench/micro/load.mjs
 * [seconds]`.
 */
import { createLoadTable, createSharedLoadTable } from "../../packages/engine/dist/index.js";
import { measure } from "./measure.mjs";

for (const [name, load] of [
  ["one thread", createLoadTable()],
  ["shared", createSharedLoadTable()],
]) {
  const cluster = load.acquire("cluster:x");
  const endpoints = Array.from({ length: 8 }, (_, index) => load.acquire(`10.0.0.${index}:80`));
  let at = 0;
  const ns = measure(() => {
    const endpoint = endpoints[at++ & 7];
    load.begin(cluster, endpoint);
    load.end(cluster, endpoint);
    load.observe(endpoint, 1, false);
  });
  console.log(`${name.padEnd(12)}${ns.toFixed(1)} ns`);
}
