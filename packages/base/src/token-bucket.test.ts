import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { TokenBucket } from "./token-bucket.js";

test("TokenBucket gives its burst at once and then its rate", async () => {
  const clock = new FakeClock();
  const bucket = new TokenBucket(2, 3, clock);
  const takeAll = (): number => {
    let taken = 0;
    while (bucket.take()) taken++;
    return taken;
  };
  expect(takeAll()).toBe(3);
  await clock.advance(499);
  expect(takeAll()).toBe(0);
  await clock.advance(1);
  expect(takeAll()).toBe(1);
  await clock.advance(60_000);
  expect(takeAll()).toBe(3);
});
