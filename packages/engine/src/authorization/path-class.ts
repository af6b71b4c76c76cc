import { readingsOf } from "./path-readings.js";

/** What segments of templates consist of: what policies can say. */
const LITERAL = /^[A-Za-z0-9\-._~%!$&'()+,;:@=]+$/;
const DOTS = /^(?:\.|%2e)+$/i;
const MAX_SEGMENTS = 16;
const MAX_LENGTH = 256;

/** Numbers, UUIDs, hashes, and whatever else is long and has a digit. */
const IDENTIFIER = /^(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27}|(?=.*\d)[0-9a-f]{8,}|(?=.*\d)[A-Za-z0-9_~=.-]{20,})$/i;

/** The kind of a path (without query): identifiers become `{*}`. "" where no policy could say it. */
export function pathClass(path: string): string {
  if (path === "/") return path;
  if (path.length > MAX_LENGTH || !path.startsWith("/")) return "";
  // A policy that allows must hold for every reading of a path.
  if (readingsOf(path).length > 1) return "";
  const segments = path.slice(1).split("/");
  if (segments.length > MAX_SEGMENTS) return "";
  let found = "";
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === "" && isLast) found += "/";
    else if (!LITERAL.test(segment) || DOTS.test(segment)) return "";
    else found += IDENTIFIER.test(segment) ? "/{*}" : `/${segment}`;
  }
  return found;
}
