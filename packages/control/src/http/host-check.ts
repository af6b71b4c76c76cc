import { isIP } from "node:net";

/**
 * Whether a request's Host field may be answered on a loopback listener. A web page anywhere can have its name
 * resolve to 127.0.0.1 (DNS rebinding); its requests then carry that name here. So only names that cannot be such a
 * page's are let in: `localhost`, `*.localhost`, IP literals and the names given.
 */
export function isTrustedHost(host: string | undefined, names: ReadonlySet<string> = new Set()): boolean {
  if (host === undefined || host.length > 255) return false;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(host);
  if (bracketed !== null) return isIP(bracketed[1] ?? "") === 6;
  const name = host.replace(/:\d{1,5}$/, "").toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || isIP(name) === 4 || names.has(name);
}

/** Whether an address reaches this machine only. */
export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127\.\d+\.\d+\.\d+$/.test(address);
}

/** A Host field without its port; "" for none. */
export function hostOf(field: string): string {
  return field.replace(/:\d{1,5}$/, "").replace(/^\[|\]$/g, "");
}
