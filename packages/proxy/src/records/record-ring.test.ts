import fc from "fast-check";
import { expect, test } from "vitest";

import { MAX_RECORD_BYTES, RecordRing } from "./record-ring.js";

test("RecordRing holds the newest records, as they were", () => {
  const text = fc.string({ unit: "grapheme-ascii", maxLength: 1100 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.tuple(fc.nat(3), text)), (capacity, added) => {
      const ring = new RecordRing(capacity);
      for (const [key, each] of added) ring.add(key, each);
      const kept = added.filter(([, each]) => each.length <= MAX_RECORD_BYTES).slice(-capacity);
      for (const key of [0, 1, 2, 3]) {
        const wanted = kept.filter(([of, each]) => of === key && each !== "").map(([, each]) => each);
        expect([...ring.find(key)]).toEqual(wanted);
      }
    }),
  );
});
