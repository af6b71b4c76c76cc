import { cookieValue } from "../affinity/cookies.js";
import type { EngineRequest } from "../contract.js";
import { requestValue } from "./header-value.js";

/** What a header condition reads, and by which name. */
export interface HeaderReader {
  /** For people. */
  readonly called: "header" | "cookie";
  readonly name: string;
  readonly read: (request: EngineRequest, name: string) => string | undefined;
}

/** No field can have a name that begins so (RFC 9110 section 5.1): a proxy that does not know it never matches. */
const COOKIES = "@request.cookies.";

/** How the name of a header condition is read: as a field, a pseudo header, or a cookie (`@request.cookies.NAME`). */
export function headerReader(written: string): HeaderReader {
  return written.startsWith(COOKIES)
    ? { called: "cookie", name: written.slice(COOKIES.length), read: requestCookie }
    : { called: "header", name: written.toLowerCase(), read: requestValue };
}

function requestCookie({ headers }: EngineRequest, name: string): string | undefined {
  return cookieValue(headers, name);
}
