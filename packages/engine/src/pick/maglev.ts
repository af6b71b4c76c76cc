import { xxHash64 } from "../hash/xxhash64.js";
import type { Candidates } from "./balancer.js";
import type { Lookup, LookupMaker } from "./hashed.js";

/**
 * Maglev: a table whose entries the endpoints take in turns, each in an order of its own; a key's remainder is its
 * entry. Faster than a ring and more even, and a few more keys move when endpoints change. `size` is a prime number.
 * https://research.google/pubs/pub44824/
 */
export function maglev(size: number): LookupMaker {
  return (candidates) => {
    const table = makeTable(candidates, size);
    return ((key) => table[key.modulo(size)]!) satisfies Lookup;
  };
}

function makeTable({ endpoints, weights }: Candidates, size: number): Uint32Array {
  // The order decides who is first to take: by name, so that all proxies have the same table.
  const order = endpoints
    .map((_, index) => index)
    .sort((left, right) => (keyAt(left) < keyAt(right) ? -1 : 1));
  function keyAt(index: number): string {
    return endpoints[index]!.key;
  }
  const takers = order.map((index) => ({
    index,
    weight: weights[index]!,
    owed: 0,
    next: xxHash64(keyAt(index)).modulo(size),
    skip: xxHash64(keyAt(index), 1).modulo(size - 1) + 1,
  }));
  const heaviest = Math.max(...weights);
  const table = new Uint32Array(size);
  const taken = new Uint8Array(size);
  let left = size;
  for (let turn = 1; left > 0; turn++) {
    for (const taker of takers) {
      if (left === 0) break;
      // Who weighs half as much takes every second turn.
      if (turn * taker.weight < taker.owed) continue;
      taker.owed += heaviest;
      while (taken[taker.next] === 1) taker.next = (taker.next + taker.skip) % size;
      table[taker.next] = taker.index;
      taken[taker.next] = 1;
      left--;
    }
  }
  return table;
}
