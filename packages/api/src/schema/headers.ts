import { z } from "zod";
import { mapOf } from "./labels.js";
import { struct } from "./struct.js";
import { stringThat } from "./strings.js";

// RFC 9110 section 5.6.2.
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

/** Whether `value` is an RFC 9110 token, the form of header names and methods. */
export function isToken(value: string): boolean {
  return TOKEN.test(value);
}

/** What a cookie's condition is written as among those on headers, before the cookie's name. */
export const COOKIE_PREFIX = "@request.cookies.";

/** What a condition on a token's claim is written as among those on headers: `….a.b`, or `…[a][b.c]` for names with dots. */
const CLAIM_PREFIX = "@request.auth.claims";
const MAX_CLAIM_DEPTH = 8;

/** The path of the claim that a condition among those on headers names; undefined when it names none. */
export function claimPath(name: string): readonly string[] | undefined {
  if (!name.startsWith(CLAIM_PREFIX) || name.length > 1024) return undefined;
  const rest = name.slice(CLAIM_PREFIX.length);
  const path = rest.startsWith(".")
    ? rest.slice(1).split(".")
    : /^(?:\[[^[\]]+\])+$/.test(rest)
      ? rest.slice(1, -1).split("][")
      : [];
  return path.length > 0 && path.length <= MAX_CLAIM_DEPTH && !path.includes("") ? path : undefined;
}

/** Whether a condition among those on headers may be called so: a header, a cookie, or a token's claim. */
export function isConditionName(name: string): boolean {
  if (claimPath(name) !== undefined) return true;
  return isToken(name.startsWith(COOKIE_PREFIX) ? name.slice(COOKIE_PREFIX.length) : name);
}

export const headerName = stringThat(isToken, 'a header name such as "x-user"');

const HEADER_VALUE = stringThat(
  // oxlint-disable-next-line no-control-regex
  (value) => value.length <= 16_384 && !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value),
  "a header value: at most 16384 characters without line breaks or control characters",
);

const values = (isName: (name: string) => boolean) =>
  mapOf(HEADER_VALUE, isName, 'a header name such as "x-user"');
const isOrdinary = (name: string) => isToken(name) && name.toLowerCase() !== "host";
const isOrdinaryOrAuthority = (name: string) => isToken(name) || name === ":authority";
const removable = stringThat(isOrdinary, 'the name of a header other than "host"');

/** Header operations on requests. */
export const requestHeaders = struct({
  set: values(isOrdinaryOrAuthority).exactOptional(),
  add: values(isOrdinaryOrAuthority).exactOptional(),
  remove: z.array(removable).exactOptional(),
});

/** Header operations on responses. */
export const responseHeaders = struct({
  set: values(isOrdinary).exactOptional(),
  add: values(isOrdinary).exactOptional(),
  remove: z.array(removable).exactOptional(),
});

/** Istio's `headers` of routes and destinations. Only a request's authority may be set besides ordinary headers. */
export const headerManipulation = struct({
  request: requestHeaders.exactOptional(),
  response: responseHeaders.exactOptional(),
});
