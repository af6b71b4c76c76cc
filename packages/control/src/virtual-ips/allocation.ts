import type { KeyValue } from "../stores/coordination.js";

/** Key of an address: it exists while the address is taken, so that two control planes cannot both take it. */
export const ADDRESSES = "virtual-ips/addresses/";
/** Key of a host: what it was given. */
export const HOSTS = "virtual-ips/hosts/";

/** What a host was given, as it is stored. */
export interface Allocation {
  readonly host: string;
  readonly ip: string;
  /** When the host went, milliseconds since the epoch; undefined while it is there. */
  readonly releasedAt: number | undefined;
  /** Revision of the stored record, for compare-and-swap. */
  readonly revision: number;
}

/** The record of an allocation. */
export function encodeAllocation(ip: string, releasedAt: number | undefined): Uint8Array {
  return Buffer.from(JSON.stringify({ ip, releasedAt }));
}

/** Reads a record; undefined when it is not one. */
export function decodeAllocation({ key, value, modRevision }: KeyValue): Allocation | undefined {
  let record: unknown;
  try {
    record = JSON.parse(Buffer.from(value).toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof record !== "object" || record === null) return undefined;
  const { ip, releasedAt } = record as { readonly ip?: unknown; readonly releasedAt?: unknown };
  if (typeof ip !== "string") return undefined;
  return {
    host: key.slice(HOSTS.length),
    ip,
    releasedAt: typeof releasedAt === "number" ? releasedAt : undefined,
    revision: modRevision,
  };
}
