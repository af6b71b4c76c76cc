import { expect, test } from "vitest";

import { ringSettings } from "./policy-settings.js";

const sizes = (minimumRingSize: bigint | undefined, maximumRingSize: bigint | undefined) => {
  const fields = { murmur: false, minimumRingSize, maximumRingSize, balanceFactor: undefined };
  const { minSize, maxSize } = ringSettings("lb", fields);
  return [minSize, maxSize];
};

test("ringSettings takes the sizes that Envoy takes, and has no ring made that would take long", () => {
  expect(sizes(undefined, undefined)).toEqual([1024, 65_536]);
  expect(sizes(10n, 2000n)).toEqual([10, 2000]);
  expect(sizes(8_388_608n, undefined)).toEqual([65_536, 65_536]);
  expect(() => sizes(8_388_609n, undefined)).toThrow("lb.minimum_ring_size: must be between 1 and 8388608");
  expect(() => sizes(20n, 10n)).toThrow(
    "lb.maximum_ring_size: must be between minimum_ring_size and 8388608",
  );
});
