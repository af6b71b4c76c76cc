import type { EncodedResource } from "./types.js";

/**
 * One version for a set of resources: equal sets have equal versions, in whatever order. A label for people and for
 * `version_info`; what changed is decided by comparing the resources' own versions.
 */
export function combinedVersion(resources: readonly Pick<EncodedResource, "name" | "version">[]): string {
  // Two FNV-1a hashes of 32 bits over the sorted list; there is no crypto module below this package.
  let high = 0x811c9dc5;
  let low = 0x9747b28c;
  for (const line of resources.map((each) => `${each.name}\n${each.version}\n`).sort()) {
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i);
      high = Math.imul(high ^ code, 0x01000193);
      low = Math.imul(low ^ code, 0x01000193) ^ (low >>> 15);
    }
  }
  return hex(high) + hex(low);
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
