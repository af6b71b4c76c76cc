import { parseAuthority } from "../authority.js";
import { TARGET, TOKEN, isMadeOf } from "../characters.js";
import { copyOf } from "../latin1.js";
import { isCarriedUpgrade } from "../upgrade.js";
import type { Http2Refusal } from "./contract.js";
import { REFUSALS } from "./refusals.js";

/**
 * What the pseudo fields of a request must be together (RFC 9113 section 8.3.1, RFC 8441): nothing that a request line
 * or a Host field of HTTP/1.1 could not hold gets past here.
 */
export class RequestRules {
  readonly #extendedConnect: boolean;
  /** The last authority found valid: on one connection it is nearly always the same. */
  #validAuthority: string | undefined = undefined;

  constructor(extendedConnect: boolean) {
    this.#extendedConnect = extendedConnect;
  }

  check(
    method: string | undefined,
    scheme: string | undefined,
    authority: string | undefined,
    path: string | undefined,
    protocol: string | undefined,
    host: string | undefined,
    contentLength: number,
  ): Http2Refusal | undefined {
    if (method === undefined) return REFUSALS.pseudoMissing;
    if (method !== "GET" && method !== "POST" && !isMadeOf(TOKEN, method)) return REFUSALS.method;
    const isTunnel = method === "CONNECT" && protocol === undefined;
    if (isTunnel) {
      if (scheme !== undefined || path !== undefined) return REFUSALS.pseudoField;
      if (authority === undefined || parseAuthority(authority)?.port === undefined) return REFUSALS.authority;
      if (contentLength > 0) return REFUSALS.contentLength;
      return this.#checkAuthority(authority, host);
    }
    if (scheme === undefined || path === undefined) return REFUSALS.pseudoMissing;
    if (scheme !== "http" && scheme !== "https") return REFUSALS.scheme;
    if (!isPath(method, path)) return REFUSALS.path;
    if (protocol !== undefined) {
      if (method !== "CONNECT" || !this.#extendedConnect || !isCarriedUpgrade(protocol))
        return REFUSALS.protocol;
      if (authority === undefined) return REFUSALS.pseudoMissing;
      // DATA is the tunnel's; a server behind HTTP/1.1 would take it for the body of a request.
      if (contentLength > 0) return REFUSALS.contentLength;
    }
    return this.#checkAuthority(authority, host);
  }

  #checkAuthority(authority: string | undefined, host: string | undefined): Http2Refusal | undefined {
    const named = authority ?? host;
    if (named === undefined) return REFUSALS.authority;
    if (named !== this.#validAuthority) {
      if (parseAuthority(named) === undefined) return REFUSALS.authority;
      this.#validAuthority = copyOf(named);
    }
    return host === undefined || host === named || isSameAuthority(host, named)
      ? undefined
      : REFUSALS.authority;
  }
}

/** Status of a response: 100 to 599 in three digits, 0 for anything else. 101 does not exist here (section 8.6). */
export function statusOf(value: string): number {
  if (value.length !== 3) return 0;
  let status = 0;
  for (let i = 0; i < 3; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return 0;
    status = status * 10 + digit;
  }
  return status >= 100 && status <= 599 && status !== 101 ? status : 0;
}

/** Origin form, or `*` of OPTIONS. A path of two slashes alone would read as an empty authority behind a proxy. */
function isPath(method: string, path: string): boolean {
  if (path === "*") return method === "OPTIONS";
  if (path.charCodeAt(0) !== 0x2f || !isMadeOf(TARGET, path)) return false;
  return path !== "//" && !path.startsWith("//?");
}

function isSameAuthority(left: string, right: string): boolean {
  const a = parseAuthority(left);
  const b = parseAuthority(right);
  return a !== undefined && b !== undefined && a.host === b.host && a.port === b.port;
}
