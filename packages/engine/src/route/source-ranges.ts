import { addressBytes, IpRange } from "../authorization/ip-range.js";
import { invalid } from "../snapshot/invalid.js";

/** The source addresses that a filter chain takes (Envoy's `source_prefix_ranges`). */
export class SourceRanges {
  readonly #ranges: readonly { readonly range: IpRange; readonly bits: number }[];

  /** Throws for what is no block of addresses. */
  constructor(
    field: string,
    prefixes: readonly { readonly addressPrefix: string; readonly prefixLen?: number | undefined }[],
  ) {
    this.#ranges = prefixes.map(({ addressPrefix, prefixLen }, index) => {
      const range = IpRange.parse(addressPrefix, prefixLen ?? 0);
      if (range === undefined) throw invalid(`${field}[${index}]`, "must be a block of addresses");
      return { range, bits: prefixLen ?? 0 };
    });
  }

  /** How many bits of the narrowest block that has the address; -1 = none has it. `source`: as text. */
  match(source: string): number {
    const bytes = addressBytes(source);
    if (bytes === undefined) return -1;
    let best = -1;
    for (const { range, bits } of this.#ranges) if (bits > best && range.has(bytes)) best = bits;
    return best;
  }
}
