// Writes objects and keys as fast as it can and prints the number of each one once it is acknowledged, until it is
// killed. Started by lmdb-crash.test.ts: crash-writer.mjs DIRECTORY FIRST_NUMBER
import { writeSync } from "node:fs";

import { systemClock } from "@tulle/base";

import { openLmdbStores } from "../../../dist/stores/open.js";

const [directory, first] = process.argv.slice(2);
const stores = openLmdbStores({ directory, clock: systemClock });
let next = Number(first);

async function writer() {
  for (;;) {
    const n = next++;
    const name = `o${n}`;
    const key = { group: "networking.istio.io", kind: "VirtualService", namespace: "default", name };
    const metadata = {
      name,
      namespace: "default",
      uid: name,
      resourceVersion: "",
      generation: 1,
      creationTimestamp: "",
    };
    // A spec of many bytes spans pages: a torn write would show.
    const object = {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata,
      spec: { n, fill: name.repeat(400) },
    };
    await Promise.all([
      stores.resources.create(object, key),
      stores.coordination.txn([], [{ op: "put", key: name, value: new Uint8Array([n & 255]) }]),
    ]);
    writeSync(1, `${n}\n`);
  }
}

await Promise.all([writer(), writer(), writer(), writer()]);
