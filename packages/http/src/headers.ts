import { equalsIgnoringCase } from "./characters.js";
import type { HeaderList } from "./contract.js";
import { lowerName } from "./field-names.js";

/** A list for when there are none. Frozen: it is everybody's. */
export const NO_FIELDS = Object.freeze([]) as unknown as HeaderList;

/** Value of the first field called `name` (lower-case), or undefined. */
export function getHeader(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (isName(headers[i]!, name)) return headers[i + 1];
  return undefined;
}

/** Values of all fields called `name` (lower-case), joined by ", " in order; undefined without one. */
export function joinHeader(headers: HeaderList, name: string): string | undefined {
  let joined: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (isName(headers[i]!, name))
      joined = joined === undefined ? headers[i + 1]! : `${joined}, ${headers[i + 1]!}`;
  }
  return joined;
}

/** Whether a field called `name` (lower-case) has `token` (lower-case) in its comma-separated list. */
export function hasToken(headers: HeaderList, name: string, token: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (isName(headers[i]!, name) && listHasToken(headers[i + 1]!, token)) return true;
  }
  return false;
}

/** Whether the comma-separated `list` has the member `token` (lower-case), case ignored. */
export function listHasToken(list: string, token: string): boolean {
  if (equalsIgnoringCase(list, token)) return true;
  if (list.length <= token.length) return false;
  return splitList(list).some((member) => equalsIgnoringCase(member, token));
}

/** Members of a comma-separated list, spaces cut, empty members left out (RFC 9110 section 5.6.1.2). No quoted strings. */
export function splitList(list: string): string[] {
  return list
    .split(",")
    .map(trimSpace)
    .filter((member) => member !== "");
}

/** `text` without surrounding SP and HTAB, and nothing else: `trim()` would also take U+00A0 and U+000B. */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isName(raw: string, name: string): boolean {
  return raw === name || (raw.length === name.length && lowerName(raw) === name);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
