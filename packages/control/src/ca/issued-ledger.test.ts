import { expect, test } from "vitest";

import { IssuedLedger } from "./issued-ledger.js";

test("IssuedLedger makes room by forgetting the oldest", () => {
  const ledger = new IssuedLedger(3);
  for (const serialNumber of ["A", "B", "C", "D"]) {
    ledger.record({ spiffeId: "x", serialNumber, notBefore: 0, notAfter: 100 }, undefined);
  }
  ledger.record({ spiffeId: "x", serialNumber: "E", notBefore: 0, notAfter: 50 }, "C");
  expect(ledger.list(0).map((issued) => issued.serialNumber)).toEqual(["B", "D", "E"]);
  expect(ledger.list(50).map((issued) => issued.serialNumber)).toEqual(["B", "D"]);
});
