import type { HeaderList } from "@tulle/http";
import { sameName } from "../route/header-value.js";

/** The first cookie of that name, without the quotes around it; undefined when the request brings none. */
export function cookieValue(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (!sameName(headers[index]!, "cookie")) continue;
    const value = findCookie(headers[index + 1]!, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Every cookie of that name. */
export function cookieValues(headers: HeaderList, name: string): readonly string[] {
  const found: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    if (!sameName(headers[index]!, "cookie")) continue;
    for (const pair of headers[index + 1]!.split(";")) {
      const value = findCookie(pair, name);
      if (value !== undefined) found.push(value);
    }
  }
  return found;
}

/** `a=1; b=2` (RFC 6265 section 4.2). */
function findCookie(field: string, name: string): string | undefined {
  let start = 0;
  while (start < field.length) {
    let end = field.indexOf(";", start);
    if (end < 0) end = field.length;
    let from = start;
    while (from < end && isSpace(field.charCodeAt(from))) from++;
    const equals = from + name.length;
    if (equals < end && field.charCodeAt(equals) === EQUALS && field.startsWith(name, from)) {
      return unquoted(field.slice(equals + 1, end).trim());
    }
    start = end + 1;
  }
  return undefined;
}

const EQUALS = 0x3d;

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** What a cookie is set with. */
export interface CookieSettings {
  readonly name: string;
  readonly path: string;
  /** Lives as long as the browser's session when 0. */
  readonly ttlSeconds: number;
  /** `; SameSite=Lax` and the like, or "". */
  readonly attributes: string;
}

/** The value of a Set-Cookie field. Scripts do not see the cookie. */
export function setCookieValue(settings: CookieSettings, value: string): string {
  const { name, path, ttlSeconds, attributes } = settings;
  const age = ttlSeconds > 0 ? `; Max-Age=${ttlSeconds}` : "";
  return `${name}=${value}${age}${path === "" ? "" : `; Path=${path}`}; HttpOnly${attributes}`;
}
