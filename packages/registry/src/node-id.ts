/**
 * A stable id in the form of a UUID for a node of this name. Consul's API shows one per node; nothing trusts it, so
 * a plain hash (FNV-1a, four times with different starts) is enough.
 */
export function nodeIdOf(name: string): string {
  let hex = "";
  for (let part = 0; part < 4; part++) {
    let hash = 0x811c9dc5 ^ (part * 0x9e3779b9);
    for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
    hex += (hash >>> 0).toString(16).padStart(8, "0");
  }
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
