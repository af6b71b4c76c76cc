import { getHeader, type HeaderList } from "@tulle/http";

/**
 * Field of a 2xx by which a sidecar tells the one before that the upgrade was not made and this is an ordinary answer:
 * over HTTP/2 a 2xx alone means that it was (RFC 8441 section 5). Only between sidecars over mutual TLS.
 */
export const DECLINED_UPGRADE_HEADER = "x-tulle-upgrade";

const DECLINED = "declined";

export function tellDeclinedUpgrade(headers: HeaderList): void {
  headers.push(DECLINED_UPGRADE_HEADER, DECLINED);
}

export function toldDeclinedUpgrade(headers: HeaderList): boolean {
  return getHeader(headers, DECLINED_UPGRADE_HEADER) === DECLINED;
}
