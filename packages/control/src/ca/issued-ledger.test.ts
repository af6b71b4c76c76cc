import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { IssuedLedger } from "./issued-ledger.js";
import { TokenBucket } from "./token-bucket.js";

test("IssuedLedger makes room by forgetting the oldest", () => {
  const ledger = new IssuedLedger(3);
  for (const serialNumber of ["A", "B", "C", "D"]) {
    ledger.record({ spiffeId: "x", serialNumber, notBefore: 0, notAfter: 100 }, undefined);
  }
  ledger.record({ spiffeId: "x", serialNumber: "E", notBefore: 0, notAfter: 50 }, "C");
  expect(ledger.list(0).map((issued) => issued.serialNumber)).toEqual(["B", "D", "E"]);
  expect(ledger.list(50).map((issued) => issued.serialNumber)).toEqual(["B", "D"]);
});

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
