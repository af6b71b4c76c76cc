import { parseIpBytes } from "@tulle/base";

/** A block of addresses. IPv4 and the IPv6 addresses that stand for it (`::ffff:10.0.0.1`) are one. */
export class IpRange {
  readonly #bytes: Uint8Array;
  readonly #bits: number;

  /** Undefined for what is no address, or has another length. */
  static parse(address: string, bits: number | undefined): IpRange | undefined {
    const bytes = parseIpBytes(address);
    if (bytes === undefined) return undefined;
    const length = bits ?? bytes.length * 8;
    if (!Number.isInteger(length) || length < 0 || length > bytes.length * 8) return undefined;
    // A block of mapped addresses is one of IPv4, unless it is larger than all of them.
    return isMapped(bytes) && length >= MAPPED_BITS
      ? new IpRange(bytes.subarray(12), length - MAPPED_BITS)
      : new IpRange(bytes, length);
  }

  private constructor(bytes: Uint8Array, bits: number) {
    this.#bytes = bytes;
    this.#bits = bits;
  }

  /** `address`: of {@link addressBytes}. */
  has(address: Uint8Array): boolean {
    const own = this.#bytes;
    if (own.length !== address.length) return false;
    const whole = this.#bits >> 3;
    for (let index = 0; index < whole; index++) if (own[index] !== address[index]) return false;
    const rest = this.#bits & 7;
    return rest === 0 || (own[whole]! ^ address[whole]!) >> (8 - rest) === 0;
  }
}

const MAPPED_BITS = 96;

/** An address as blocks are compared with it: a zone (`fe80::1%eth0`) is left out, mapped IPv4 is IPv4. */
export function addressBytes(text: string): Uint8Array | undefined {
  const zone = text.indexOf("%");
  const bytes = parseIpBytes(zone < 0 ? text : text.slice(0, zone));
  return bytes !== undefined && isMapped(bytes) ? bytes.subarray(12) : bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return true;
}
