import { lookup, Resolver } from "node:dns/promises";

import type { AddressFamily } from "@tulle/engine";

/** What a name stands for. */
export interface Found {
  /** In the order in which they came; never empty. */
  readonly addresses: readonly string[];
  /** For how long that is good; undefined = nobody says. */
  readonly ttlMs: number | undefined;
}

/** Looks up a name; rejects when it stands for nothing of the family. `wantsTtl`: for how long it is good matters. */
export type LookUp = (name: string, family: AddressFamily, wantsTtl: boolean) => Promise<Found>;

/** More addresses of a name are not used. */
const MAX_ADDRESSES = 256;

/**
 * As the system does it for applications: with its hosts file and its search list. That says nothing of times, which are asked of its
 * name servers beside it; where these know no such name there is none.
 */
export const systemLookUp: LookUp = async (name, family, wantsTtl) => {
  const [found, ttlMs] = await Promise.all([
    lookup(name, { all: true, verbatim: true }),
    wantsTtl ? shortestTtl(name) : undefined,
  ]);
  const addresses = ofFamily(found, family).slice(0, MAX_ADDRESSES);
  if (addresses.length === 0) throw new Error(`${name} has no address of the family ${family}`);
  return { addresses, ttlMs };
};

/** Those of a family, without repetition. */
export function ofFamily(
  found: readonly { readonly address: string; readonly family: number }[],
  family: AddressFamily,
): readonly string[] {
  const of = (number: number): string[] =>
    found.filter((one) => one.family === number).map(({ address }) => address);
  const [v4, v6] = [[...new Set(of(4))], [...new Set(of(6))]];
  switch (family) {
    case "v4":
      return v4;
    case "v6":
      return v6;
    case "v4-preferred":
      return v4.length > 0 ? v4 : v6;
    case "v6-preferred":
      return v6.length > 0 ? v6 : v4;
    case "all":
      return [...v4, ...v6];
  }
}

const resolver = new Resolver({ timeout: 2000, tries: 2 });

async function shortestTtl(name: string): Promise<number | undefined> {
  const none = (): [] => [];
  const records = await Promise.all([
    resolver.resolve4(name, { ttl: true }).catch(none),
    resolver.resolve6(name, { ttl: true }).catch(none),
  ]);
  const seconds = records.flat().map(({ ttl }) => ttl);
  return seconds.length === 0 ? undefined : Math.min(...seconds) * 1000;
}
