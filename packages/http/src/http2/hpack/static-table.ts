/** Static table (RFC 7541 appendix A), `name, value` pairs; the entry at index 1 comes first. */
// prettier-ignore
const ENTRIES = [
  ":authority", "", ":method", "GET", ":method", "POST", ":path", "/", ":path", "/index.html",
  ":scheme", "http", ":scheme", "https", ":status", "200", ":status", "204", ":status", "206",
  ":status", "304", ":status", "400", ":status", "404", ":status", "500", "accept-charset", "",
  "accept-encoding", "gzip, deflate", "accept-language", "", "accept-ranges", "", "accept", "",
  "access-control-allow-origin", "", "age", "", "allow", "", "authorization", "", "cache-control", "",
  "content-disposition", "", "content-encoding", "", "content-language", "", "content-length", "",
  "content-location", "", "content-range", "", "content-type", "", "cookie", "", "date", "", "etag", "",
  "expect", "", "expires", "", "from", "", "host", "", "if-match", "", "if-modified-since", "",
  "if-none-match", "", "if-range", "", "if-unmodified-since", "", "last-modified", "", "link", "",
  "location", "", "max-forwards", "", "proxy-authenticate", "", "proxy-authorization", "", "range", "",
  "referer", "", "refresh", "", "retry-after", "", "server", "", "set-cookie", "",
  "strict-transport-security", "", "transfer-encoding", "", "user-agent", "", "vary", "", "via", "",
  "www-authenticate", "",
];

/** Entries of the static table; dynamic entries are numbered from the next one on. */
export const STATIC_COUNT = 61;
/** By index; 0 is unused. */
export const STATIC_NAMES: readonly string[] = ["", ...ENTRIES.filter((_, i) => i % 2 === 0)];
/** By index; 0 is unused. */
export const STATIC_VALUES: readonly string[] = ["", ...ENTRIES.filter((_, i) => i % 2 === 1)];

const INDEX_OF_NAME = new Map<string, number>();
for (let i = STATIC_COUNT; i >= 1; i--) INDEX_OF_NAME.set(STATIC_NAMES[i]!, i);

/** Lowest index with the name, 0 without one. */
export function staticIndexOf(name: string): number {
  return INDEX_OF_NAME.get(name) ?? 0;
}
