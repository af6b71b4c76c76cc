import { isToken } from "../schema/headers.js";
import { isIpAddress, isCidr } from "../schema/addresses.js";
import { isDnsLabel } from "../schema/namespaces.js";

const MAX_VALUE = 4096;

/** Whether a value is exact, `prefix*`, `*suffix` or `*`: a star stands at one end at most. */
export function isPattern(value: string): boolean {
  if (value === "" || value.length > MAX_VALUE) return false;
  if (value === "*") return true;
  const inner = value.startsWith("*") ? value.slice(1) : value.endsWith("*") ? value.slice(0, -1) : value;
  return inner !== "" && !inner.includes("*");
}

export const PATTERN = "a value, prefix*, *suffix or *: one star at most, at one end";

/** A namespace, or a pattern of one. */
export function isNamespacePattern(value: string): boolean {
  return isPattern(value) && /^\*?[a-z0-9.-]*\*?$/.test(value);
}

/** `name` or `namespace/name`. Dots mean dots, and there are no wildcards. */
export function isServiceAccount(value: string): boolean {
  const parts = value.split("/");
  const name = parts.at(-1) ?? "";
  if (value.length > 320 || parts.length > 2 || !isAccountName(name)) return false;
  return parts.length === 1 || isDnsLabel(parts[0]!);
}

function isAccountName(name: string): boolean {
  return name.length <= 253 && name.split(".").every(isDnsLabel);
}

export function isBlock(value: string): boolean {
  return isIpAddress(value) || isCidr(value);
}

export function isPortText(value: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(value) && Number(value) <= 65_535;
}

/** HTTP methods are told apart by case. */
export function isMethodPattern(value: string): boolean {
  return isPattern(value) && isToken(value.replace("*", "x"));
}

const LITERAL = /^[A-Za-z0-9\-._~%!$&'()+,;:@=]+$/;

/** Whether a path is a template: it has an operator in braces. */
export function isPathTemplate(value: string): boolean {
  return value.includes("{*}") || value.includes("{**}");
}

/**
 * What is wrong with a path, as the end of a sentence; undefined = nothing. Operators of templates are whole segments, and
 * `{**}` is the last one.
 */
export function pathProblem(value: string): string | undefined {
  if (!isPathTemplate(value)) {
    if (/[{}]/.test(value)) return "may have braces only as {*} and {**}, each a whole segment";
    return isPattern(value) ? undefined : `must be ${PATTERN}`;
  }
  if (!value.startsWith("/")) return "is a template: it must start with /";
  if (value.length > 256) return "is a template of more than 256 characters";
  let isOver = false;
  for (const segment of value.replace(/^\/|\/$/g, "").split("/")) {
    const operator = segment === "{*}" || segment === "{**}";
    if (operator && isOver) return "has an operator after {**}, which must be the last one";
    if (segment === "{**}") isOver = true;
    if (!operator && !LITERAL.test(segment)) {
      return /[{}]/.test(segment)
        ? "may have braces only as {*} and {**}, each a whole segment"
        : `has the segment ${JSON.stringify(segment)}, which no path of a template can have`;
    }
  }
  return undefined;
}
