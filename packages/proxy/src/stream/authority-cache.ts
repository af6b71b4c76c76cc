import { parseAuthority } from "@tulle/http";

const MAX_ENTRIES = 1024;

/** Canonical authorities by their spelling in Host: the same few come again and again. */
export class AuthorityCache {
  readonly #known = new Map<string, string>();

  /** Lower-case host without trailing dot, with its port when one was given; "" when `text` is not an authority. */
  canonical(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const authority = parseAuthority(text);
    const { host, port } = authority ?? { host: "", port: undefined };
    const canonical = port === undefined ? host : `${host}:${port}`;
    if (this.#known.size >= MAX_ENTRIES) this.#known.clear();
    // `text` is cut from a whole request head; a key of its own does not keep that alive.
    this.#known.set(Buffer.from(text, "latin1").toString("latin1"), canonical);
    return canonical;
  }
}
