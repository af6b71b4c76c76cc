import { AddressGuard, type AddressGuardOptions } from "./address-guard.js";
import type { FetchText } from "./fetch-keys.js";
import { guardedFetch } from "./guarded-fetch.js";

const TIMEOUT_MS = 5000;
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["127.0.0.1", "[::1]", "localhost"]);
const LOOPBACK = ["127.0.0.0/8", "::1/128"];
const NONE: AddressGuardOptions = { blocked: [], allowed: [] };

/**
 * Fetches for a URL that the operator has written, behind the guard: where it leads, by redirects, by a discovery document or
 * by a name that changes its mind, others say. This machine is asked where that very URL names it.
 */
export function operatorFetch(
  configured: string,
  { blocked, allowed }: AddressGuardOptions = NONE,
): FetchText {
  const isLocal = URL.canParse(configured) && LOOPBACK_HOSTS.has(new URL(configured).hostname);
  const guard = new AddressGuard({ blocked, allowed: isLocal ? [...allowed, ...LOOPBACK] : allowed });
  return (url, maxBytes) => guardedFetch(url, { guard, timeoutMs: TIMEOUT_MS, maxBytes });
}
