import {
  bareAnswer,
  failureAnswer,
  hostAnswer,
  parseQuery,
  RCODE,
  rcodeOf,
  TYPE,
  type DnsTransport,
  type Query,
} from "@tulle/dns";

import type { DnsFaults } from "./dns-faults.js";
import type { Names } from "./names.js";
import { usableAddresses } from "./virtual-ips.js";

/** Seconds that clients may keep an answer of the mesh's. */
const TTL_SECONDS = 30;
const CLASS_IN = 1;

/** Answers one query, or gives undefined when none is due. Never rejects. */
export type Resolver = (message: Buffer, transport: DnsTransport) => Promise<Buffer | undefined>;

export interface ResolverOptions {
  readonly names: Names;
  /** Domains that the system appends to short names. */
  readonly search: readonly string[];
  /** Carries out the faults of names. */
  readonly faults: DnsFaults;
  /** Asks the system's servers; undefined when none answered. */
  readonly forward: (message: Buffer, query: Query, transport: DnsTransport) => Promise<Buffer | undefined>;
}

/**
 * Answers names of the mesh itself and passes everything else on, untouched. A name with one of the system's search
 * domains behind it is the system's first: only when that knows nothing of it, the mesh's name in it counts.
 */
export function createResolver({ names, search, faults, forward }: ResolverOptions): Resolver {
  return async (message, transport) => {
    const parsed = parseQuery(message);
    if (parsed.outcome === "drop") return undefined;
    if (parsed.outcome === "refused") return bareAnswer(parsed.id, parsed.opcode, parsed.rcode);
    const { query } = parsed;
    const name = query.labels.join(".");
    const known = query.class === CLASS_IN ? names.addressesOf(name) : undefined;
    if (known !== undefined) {
      const fault = names.faultOf(name);
      const failure = fault === undefined ? undefined : await faults.meet(fault);
      if (failure !== undefined) return failureAnswer(query, failure);
      return hostAnswer(query, usableAddresses(known), TTL_SECONDS, transport);
    }
    const answer = await forward(message, query, transport);
    const isEmpty = answer === undefined || rcodeOf(answer) !== RCODE.NOERROR;
    const inSearch = isEmpty && isAddressQuery(query) ? addressesBefore(name, names, search) : undefined;
    if (inSearch !== undefined) return hostAnswer(query, usableAddresses(inSearch), TTL_SECONDS, transport);
    return answer ?? failureAnswer(query, RCODE.SERVFAIL);
  };
}

function isAddressQuery(query: Query): boolean {
  return query.class === CLASS_IN && (query.type === TYPE.A || query.type === TYPE.AAAA);
}

function addressesBefore(
  name: string,
  names: Names,
  search: readonly string[],
): readonly string[] | undefined {
  for (const domain of search) {
    if (!name.endsWith(`.${domain}`)) continue;
    const found = names.addressesOf(name.slice(0, -domain.length - 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
