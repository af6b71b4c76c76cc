import { parseIpBytes } from "./ip-address.js";

/** What an address reaches, as far as it matters to whoever connects on somebody else's behalf. */
export type AddressClass =
  /** This machine: whatever listens here trusts whoever can connect. */
  | "loopback"
  /** The link: metadata services of clouds are there. */
  | "link-local"
  /** Nothing that one connects to: unspecified, multicast, broadcast, reserved. */
  | "special"
  /** Everything else, private networks among it. */
  | "other";

const V4_IN_V6: readonly (readonly [prefix: readonly number[], at: number])[] = [
  // ::ffff:a.b.c.d (mapped), ::a.b.c.d (compatible, deprecated), 64:ff9b::a.b.c.d (NAT64), 2002:aabb:ccdd:: (6to4)
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 12],
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 12],
  [[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], 12],
  [[0x20, 0x02], 2],
];
/** Metadata services that are not on the link: of Alibaba, Oracle and (IPv6) Amazon. */
const METADATA_V4: ReadonlySet<string> = new Set(["100.100.100.200", "192.0.0.192"]);
const METADATA_V6 = "fd00:0ec2:0000:0000:0000:0000:0000:0254";

/** The class of an IP address in text; undefined for what is none. Scopes (`%eth0`) do not count. */
export function classifyAddress(text: string): AddressClass | undefined {
  const bytes = parseIpBytes(text.replace(/%.*$/, ""));
  if (bytes === undefined) return undefined;
  return bytes.length === 4 ? classifyV4(bytes) : classifyV6(bytes);
}

function classifyV4(bytes: Uint8Array): AddressClass {
  const [a = 0, b = 0] = bytes;
  if (a === 127) return "loopback";
  if ((a === 169 && b === 254) || METADATA_V4.has(bytes.join("."))) return "link-local";
  // 0.0.0.0 reaches this machine, too.
  if (a === 0 || a >= 224) return "special";
  return "other";
}

function classifyV6(bytes: Uint8Array): AddressClass {
  if (bytes.subarray(0, 15).every((byte) => byte === 0)) return bytes[15] === 1 ? "loopback" : "special";
  for (const [prefix, at] of V4_IN_V6) {
    if (prefix.every((byte, index) => bytes[index] === byte)) return classifyV4(bytes.subarray(at, at + 4));
  }
  const [a = 0, b = 0] = bytes;
  if (a === 0xff) return "special";
  if (a === 0xfe && (b & 0xc0) === 0x80) return "link-local";
  return isSame(bytes, METADATA_V6) ? "link-local" : "other";
}

function isSame(bytes: Uint8Array, text: string): boolean {
  const other = parseIpBytes(text);
  return other !== undefined && bytes.every((byte, index) => other[index] === byte);
}

/**
 * Whether a process may connect to an address on somebody else's behalf: never to the link or to what is no host, to
 * this machine where `loopback` says so. What is no IP address is not: names are resolved first.
 */
export function mayConnectFor(address: string, { loopback }: { readonly loopback: boolean }): boolean {
  const known = classifyAddress(address);
  return known === "other" || (known === "loopback" && loopback);
}
