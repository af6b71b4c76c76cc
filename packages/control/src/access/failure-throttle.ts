import { isIP } from "node:net";

import { TokenBucket, type Clock } from "@tulle/base";

const BURST = 20;
const PER_SECOND = 1;
/** Addresses that are remembered; the one that failed longest ago is forgotten first. */
const MAX_ADDRESSES = 10_000;

/**
 * Counts failed logins by address: 20 at once, then one a second. What is above that is refused without the costly part
 * of looking (asking another server, checking a signature) and without a line in the audit log. Tokens of our own are
 * looked up all the same: with 256 random bits guessing is hopeless, and one broken client must not lock out others of
 * its address.
 */
export class FailureThrottle {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes a failure; false when that were too many. */
  failed(address: string): boolean {
    const key = networkOf(address);
    const bucket = this.#buckets.get(key) ?? new TokenBucket(PER_SECOND, BURST, this.#clock);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > MAX_ADDRESSES) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket.take();
  }

  /** Whether an address has failed too often, and is to wait. */
  isOver(address: string): boolean {
    return this.#buckets.get(networkOf(address))?.isEmpty() === true;
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#buckets.size;
  }
}

/** The address, or of IPv6 the /64 that one client has all of. */
function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1] ?? address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0");
  return [...left, ...zeros, ...right].slice(0, 4).join(":");
}
