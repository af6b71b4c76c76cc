import { TOKEN, equalsIgnoringCase, isMadeOf } from "./characters.js";

/** What would change how the bytes behind a proxy are read: HTTP itself, and TLS under it (RFC 9110 section 7.8). */
const NEVER_CARRIED: readonly string[] = ["h2c", "tls", "http"];

/**
 * Whether `text` is one protocol, `name` or `name/version` (RFC 9110 section 7.8), that a connection may be switched to
 * through a proxy. The value of an Upgrade field, or of `:protocol` (RFC 8441).
 */
export function isCarriedUpgrade(text: string): boolean {
  const slash = text.indexOf("/");
  const name = slash < 0 ? text : text.slice(0, slash);
  if (!isMadeOf(TOKEN, name)) return false;
  if (slash >= 0 && !isMadeOf(TOKEN, text.slice(slash + 1))) return false;
  return !NEVER_CARRIED.some((refused) => equalsIgnoringCase(name, refused));
}
