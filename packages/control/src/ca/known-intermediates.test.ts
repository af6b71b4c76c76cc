import { Emitter, silentLogger } from "@tulle/base";
import { eventually, FakeClock, makeCertificate, type ChainCertificate } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { createMemoryStores, type Stores } from "../stores/open.js";
import { KnownIntermediates } from "./known-intermediates.js";

let clock: FakeClock;
let stores: Stores;
let changed: Emitter<void>;
let intermediatesPem: string;

beforeEach(() => {
  clock = new FakeClock(Date.now());
  stores = createMemoryStores({ clock });
  changed = new Emitter<void>();
  intermediatesPem = "";
});

function open(): Promise<KnownIntermediates> {
  const signer = {
    get intermediatesPem() {
      return intermediatesPem;
    },
    onChanged: changed.event,
  };
  return KnownIntermediates.open({ signer, coordination: stores.coordination, clock, logger: silentLogger });
}

/** Waits until so many are in the store. */
function kept(count: number): Promise<unknown> {
  return eventually(async () => (await stores.coordination.range("ca/intermediates/")).length === count);
}

const authority = (lifeMs = 3_600_000): Promise<ChainCertificate> =>
  makeCertificate({ ca: true, name: "mesh", notAfter: clock.now() + lifeMs });

function change(pem: string): void {
  intermediatesPem = pem;
  changed.emit();
}

const hex = (chains: readonly (readonly Uint8Array[])[]): string[] =>
  chains.map((chain) => chain.map((der) => Buffer.from(der).toString("hex")).join());
const hexOf = (...chain: readonly ChainCertificate[]): string => hex([chain.map(({ der }) => der)])[0]!;

test("where roots sign there is one way, without anybody between", async () => {
  expect((await open()).chains).toEqual([[]]);
});

test("former authorities are known behind the present one, after a restart too, until they end", async () => {
  const [first, upper, second] = [await authority(60_000), await authority(), await authority()];
  intermediatesPem = first.pem + upper.pem;
  const known = await open();
  expect(hex(known.chains)).toEqual([hexOf(first, upper)]);
  change(second.pem);
  expect(hex(known.chains)).toEqual([hexOf(second), hexOf(first, upper)]);
  // Told again, it is the same.
  change(second.pem);
  change(first.pem + upper.pem);
  expect(hex(known.chains)).toEqual([hexOf(first, upper), hexOf(second)]);
  change(second.pem);
  await kept(2);
  expect(hex((await open()).chains)).toEqual([hexOf(second), hexOf(first, upper)]);
  await clock.advance(60_000);
  expect(hex((await open()).chains)).toEqual([hexOf(second)]);
});

test("so many former ones are known, the newest", async () => {
  const known = await open();
  const all = await Promise.all(Array.from({ length: 20 }, () => authority()));
  for (const { pem } of all) change(pem);
  const expected = all
    .toReversed()
    .slice(0, 17)
    .map((one) => hexOf(one));
  expect(hex(known.chains)).toEqual(expected);
  await kept(17);
  expect(hex((await open()).chains)).toEqual(expected);
});
