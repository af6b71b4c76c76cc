import { isPortNumber } from "./ports.js";

/** An authority in its parts. IPv6 literals without their brackets. */
export interface Authority {
  readonly host: string;
  /** Undefined when none was written. */
  readonly port: number | undefined;
}

/** A service by name, whether it exists or not. */
export interface ServiceId {
  readonly namespace: string;
  readonly name: string;
}

export function isSameService(a: ServiceId, b: ServiceId): boolean {
  return a.name === b.name && a.namespace === b.namespace;
}

const MAX_HOST_LENGTH = 255;

/** What {@link hostMatch} gives for an exact match: above every wildcard. */
export const EXACT_HOST = MAX_HOST_LENGTH + 1;

/**
 * Reads `host`, `host:port`, `[v6]` or `[v6]:port` (RFC 3986 section 3.2, no userinfo). Case and a trailing dot do not
 * matter. Undefined when it is none of these; wildcards are not hosts.
 */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length > MAX_HOST_LENGTH + 8) return undefined;
  const parts = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::([1-9]\d{0,4}))?$/.exec(text.toLowerCase());
  if (parts === null) return undefined;
  const host = parts[1] ?? (parts[2] ?? "").replace(/\.$/, "");
  if (parts[1] !== undefined && !host.includes(":")) return undefined;
  if (host === "" || host.length > MAX_HOST_LENGTH || host.startsWith(".") || host.includes(".."))
    return undefined;
  const port = parts[3] === undefined ? undefined : Number(parts[3]);
  if (port !== undefined && !isPortNumber(port)) return undefined;
  return { host, port };
}

/** Full host of a service: `<name>.<namespace>.svc.<domain>`. */
export function fullHost(id: ServiceId, domain: string): string {
  return `${id.name.toLowerCase()}.${id.namespace}.svc.${domain}`;
}

/**
 * The service that a host may name as seen from `namespace`, by its form alone: `reviews`, `reviews.default`,
 * `reviews.default.svc` or the full host. Undefined for hosts that can only be something else (IP addresses, wildcards).
 */
export function serviceNamed(host: string, namespace: string, domain: string): ServiceId | undefined {
  if (host.includes(":") || host.includes("*") || host === "") return undefined;
  if (!host.includes(".")) return { namespace, name: host };
  const suffix = [`.svc.${domain}`, ".svc"].find((end) => host.endsWith(end));
  const rest = suffix === undefined ? host : host.slice(0, -suffix.length);
  const dot = rest.lastIndexOf(".");
  if (dot <= 0 || dot === rest.length - 1) return undefined;
  if (suffix === undefined && /^\d+(\.\d+){3}$/.test(host)) return undefined;
  return { namespace: rest.slice(dot + 1), name: rest.slice(0, dot) };
}

/**
 * A host in full, by its form alone: short names and names that end in `.svc` get what is missing, everything else is
 * taken literally. `namespace` is where a short name was written.
 */
export function expandHost(host: string, namespace: string, domain: string): string {
  if (host.includes("*") || host.includes(":")) return host;
  if (!host.includes(".")) return `${host}.${namespace}.svc.${domain}`;
  return host.endsWith(".svc") ? `${host}.${domain}` : host;
}

/** How well a host pattern of an object fits: higher wins; 0 = does not match. Exact matches beat all wildcards. */
export function hostMatch(pattern: string, namespace: string, host: string, domain: string): number {
  const written = pattern.toLowerCase();
  if (written === "*") return 1;
  if (written.startsWith("*")) {
    return host.length >= written.length - 1 && host.endsWith(written.slice(1)) ? written.length : 0;
  }
  if (expandHost(written, namespace, domain) === host) return EXACT_HOST;
  // `reviews.default` means the service where it is one; its literal meaning was tried above.
  return /^[^.]+\.[^.]+$/.test(written) && `${written}.svc.${domain}` === host ? EXACT_HOST : 0;
}

/**
 * Every way to write a host from `namespace`, the full one first, for virtual host domains. Hosts that are not in the
 * form of a service have one way.
 */
export function writtenForms(host: string, namespace: string, domain: string): string[] {
  const suffix = `.svc.${domain}`;
  const id = host.endsWith(suffix) ? serviceNamed(host, namespace, domain) : undefined;
  if (id === undefined) return [host];
  const forms = [host, `${id.name}.${id.namespace}.svc`, `${id.name}.${id.namespace}`];
  // A dotted service name is not a short name: it would read as `<name>.<namespace>`.
  if (id.namespace === namespace && !id.name.includes(".")) forms.push(id.name);
  return forms;
}
