import fc from "fast-check";
import { expect, test } from "vitest";

import { heldChecksum, type HeldResource } from "./held-checksum.js";

const resource = fc.record({
  name: fc.string({ minLength: 1 }),
  version: fc.string(),
  bytes: fc.uint8Array(),
});
const resources = fc.uniqueArray(resource, { selector: ({ name }) => name, minLength: 1, maxLength: 8 });

test("heldChecksum does not depend on the order, nor on whose bytes they are", () => {
  fc.assert(
    fc.property(resources, (all) => {
      const copies = all.map((each) => ({ ...each, bytes: each.bytes.slice() })).reverse();
      expect(heldChecksum(copies)).toBe(heldChecksum(all));
    }),
  );
});

test("heldChecksum changes with every name, version and byte, and with what is missing", () => {
  fc.assert(
    fc.property(resources, fc.nat(), fc.nat(), (all, at, byte) => {
      const index = at % all.length;
      const one = all[index]!;
      const bytes = one.bytes.length === 0 ? Uint8Array.of(1) : one.bytes.slice();
      if (one.bytes.length > 0) bytes[byte % bytes.length]! ^= 1;
      const others: readonly HeldResource[][] = [
        all.toSpliced(index, 1),
        all.toSpliced(index, 1, { ...one, version: `${one.version}x` }),
        all.toSpliced(index, 1, { ...one, name: `${one.name}x` }),
        all.toSpliced(index, 1, { ...one, bytes }),
      ];
      for (const other of others) expect(heldChecksum(other)).not.toBe(heldChecksum(all));
    }),
  );
});
