import { stringThat } from "./strings.js";
import { isIpAddress } from "./addresses.js";
import { isDnsLabel } from "./namespaces.js";

// Underscores and upper case are no DNS-1123, but registries have such names and resolvers take them.
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const MAX_HOST = 253;

/** Whether `value` is a host name of letters, digits, `-` and `_`, in labels of at most 63 characters. */
export function isHostname(value: string): boolean {
  return value.length > 0 && value.length <= MAX_HOST && value.split(".").every((part) => LABEL.test(part));
}

/** Whether `value` is `*` or `*.` and a host name. */
export function isWildcard(value: string): boolean {
  return value === "*" || (value.startsWith("*.") && isHostname(value.slice(2)));
}

/** Whether a wildcard covers a host (exact name or narrower wildcard). */
export function covers(wildcard: string, host: string): boolean {
  const pattern = wildcard.toLowerCase();
  const name = host.toLowerCase();
  if (pattern === "*" || pattern === name) return true;
  return pattern.startsWith("*.") && name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1;
}

/** A host without wildcard, or an IP address. */
export const host = stringThat(
  (value) => isHostname(value) || isIpAddress(value),
  'a host name such as "reviews" or "reviews.default.svc.cluster.local"',
);

/** A host, a `*.suffix` or `*`. */
export const hostPattern = stringThat(
  (value) => isHostname(value) || isWildcard(value) || isIpAddress(value),
  'a host name such as "reviews", or a wildcard such as "*.example.com"',
);

/** `[namespace/]host`, as Istio names services of providers. */
export const serviceReference = stringThat((value) => {
  const parts = value.split("/");
  const name = parts.pop() ?? "";
  const [namespace, ...more] = parts;
  return isHostname(name) && more.length === 0 && (namespace === undefined || isDnsLabel(namespace));
}, 'a service such as "authz.default.svc.cluster.local" or "default/authz"');
