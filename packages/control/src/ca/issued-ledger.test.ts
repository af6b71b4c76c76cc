import { silentLogger } from "@tulle/base";
import { eventually, FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { createMemoryStores } from "../stores/open.js";
import { IssuedLedger } from "./issued-ledger.js";

const clock = new FakeClock(0);
const { coordination } = createMemoryStores({ clock });
const open = (): Promise<IssuedLedger> => IssuedLedger.open({ coordination, clock, logger: silentLogger });
const certificate = (serialNumber: string, notAfter = 100_000) => ({
  spiffeId: "x",
  serialNumber,
  notBefore: 0,
  notAfter,
});

test("IssuedLedger records each serial number once, over restarts, and forgets what is over", async () => {
  const ledger = await open();
  expect(await ledger.record(certificate("A"), undefined)).toBe(true);
  expect(await ledger.record(certificate("A"), undefined)).toBe(false);
  expect(await ledger.record(certificate("B"), "A")).toBe(true);
  expect(await ledger.record(certificate("C", 50_000), undefined)).toBe(true);

  const again = await open();
  expect(await again.record(certificate("B"), undefined)).toBe(false);
  const serials = (nowMs: number): string[] => again.current(nowMs).map(({ serialNumber }) => serialNumber);
  expect(serials(0)).toEqual(["B", "C"]);
  expect(serials(50_000)).toEqual(["B"]);
  expect(again.lastNotAfter).toBe(100_000);

  await clock.advance(60_000);
  await again.record(certificate("D", 1), undefined);
  await eventually(async () => (await coordination.range("ca/issued/")).length === 2);
  await clock.advance(60_000);
  await again.record(certificate("E", 1), undefined);
  await eventually(async () => (await coordination.range("ca/issued/")).length === 0);
  expect(again.lastNotAfter).toBe(0);
});
