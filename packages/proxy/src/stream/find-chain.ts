import type { HttpChain } from "@tulle/engine";

import type { Failure } from "../rescue.js";
import type { CanonicalRequest } from "./canonical-request.js";
import type { RequestSource } from "./contract.js";

/**
 * The chain that serves a request, or why there is none; undefined while that is not known. Where the listener has
 * another name for it (`fallbackAuthority`), `request.authority` becomes that one.
 */
export function findChain(source: RequestSource, request: CanonicalRequest): HttpChain | Failure | undefined {
  if (source.fixedAuthority === "" && source.isOwnAddress(request.authority)) return "loop";
  let chain = source.chain(request.authority);
  if (chain === null && source.fallbackAuthority !== undefined) {
    request.authority = source.fallbackAuthority;
    chain = source.chain(request.authority);
  }
  return chain === null ? "unknown-service" : chain;
}

/** Whether a CONNECT gets its connection, or why not; undefined while that is not known. */
export function findConnection(
  source: RequestSource,
  { authority }: CanonicalRequest,
): true | Failure | undefined {
  if (source.connects === undefined) return "unsupported";
  if (source.isOwnAddress(authority)) return "loop";
  const known = source.connects.knows(authority);
  return known === false ? "unknown-service" : known;
}
