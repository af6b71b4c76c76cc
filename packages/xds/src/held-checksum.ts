import { combinedVersion } from "./combined-version.js";

/** A resource as somebody holds it. */
export interface HeldResource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** By the bytes, which nobody alters: each is looked at once, however often checksums are compared. */
const contents = new WeakMap<Uint8Array, string>();

/**
 * One text for the resources that a client holds of a type: both ends of a stream agree on it exactly when they agree on
 * names, versions and content, in whatever order. Content counts for itself, because a version is only what was said of it.
 */
export function heldChecksum(resources: Iterable<HeldResource>): string {
  return combinedVersion([...resources].map((each) => ({ name: each.name, version: heldVersion(each) })));
}

/** A resource's version with a checksum of its content. */
export function heldVersion({ version, bytes }: Pick<HeldResource, "version" | "bytes">): string {
  return `${version}:${contentOf(bytes)}`;
}

function contentOf(bytes: Uint8Array): string {
  let content = contents.get(bytes);
  if (content === undefined) {
    content = fnv1a(bytes);
    contents.set(bytes, content);
  }
  return content;
}

/** FNV-1a, 32 bits: it finds what was lost or damaged; nobody is kept from forging it. */
function fnv1a(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
