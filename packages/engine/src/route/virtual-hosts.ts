import { at, invalid } from "../snapshot/invalid.js";

/** Finds the virtual host of an authority (Envoy's RouteConfiguration.virtual_hosts). */
export interface HostIndex<Host> {
  find(authority: string): Host | undefined;
}

/** A named virtual host with its domains. */
export interface HostEntry<Host> {
  readonly domains: readonly string[];
  readonly host: Host;
}

/**
 * Indexes virtual hosts by domain. Search order: exact, longest suffix wildcard (`*.example.com`, `*-x.example.com`),
 * longest prefix wildcard (`example.*`), `*`. A wildcard stands for at least one character. Domains are compared
 * without regard to case and with the port when they have one: a table that serves both forms lists both, unless
 * `ignorePort` (Envoy's `ignore_port_in_host_matching`) drops the port of the authority first.
 */
export function createHostIndex<Host>(
  field: string,
  entries: readonly HostEntry<Host>[],
  ignorePort: boolean,
): HostIndex<Host> {
  const exact = new Map<string, Host>();
  const suffixes = new WildcardIndex<Host>();
  const prefixes = new WildcardIndex<Host>();
  const seen = new Set<string>();
  let rest: Host | undefined;
  entries.forEach(({ domains, host }, index) => {
    const here = `${field}[${index}]`;
    if (domains.length === 0) throw invalid(at(here, "domains"), "must name at least one domain");
    domains.forEach((written, position) => {
      const domain = written.toLowerCase();
      const place = at(here, `domains[${position}]`);
      if (domain === "") throw invalid(place, "must not be empty");
      if (seen.has(domain))
        throw invalid(place, `${JSON.stringify(written)} is already a domain of this table`);
      seen.add(domain);
      if (domain === "*") rest = host;
      else if (domain.startsWith("*")) suffixes.add(domain.slice(1), host);
      else if (domain.endsWith("*")) prefixes.add(domain.slice(0, -1), host);
      else exact.set(domain, host);
    });
  });

  const find = (authority: string): Host | undefined =>
    exact.get(authority) ??
    suffixes.find(authority, (length) => authority.slice(authority.length - length)) ??
    prefixes.find(authority, (length) => authority.slice(0, length)) ??
    rest;
  return { find: ignorePort ? (authority) => find(withoutPort(authority)) : find };
}

/** The host of an authority: `[::1]:80` → `[::1]`, `a:80` → `a`. */
export function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(":");
  if (colon < 0 || authority.endsWith("]")) return authority;
  return authority.slice(0, colon);
}

/** Fixed parts of wildcards by length, longest first: one map look-up per length that occurs. */
class WildcardIndex<Host> {
  readonly #lengths: number[] = [];
  readonly #byLength = new Map<number, Map<string, Host>>();

  add(fixed: string, host: Host): void {
    let hosts = this.#byLength.get(fixed.length);
    if (hosts === undefined) {
      hosts = new Map();
      this.#byLength.set(fixed.length, hosts);
      this.#lengths.push(fixed.length);
      this.#lengths.sort((left, right) => right - left);
    }
    hosts.set(fixed, host);
  }

  find(authority: string, cut: (length: number) => string): Host | undefined {
    for (const length of this.#lengths) {
      if (length >= authority.length) continue;
      const host = this.#byLength.get(length)?.get(cut(length));
      if (host !== undefined) return host;
    }
    return undefined;
  }
}
