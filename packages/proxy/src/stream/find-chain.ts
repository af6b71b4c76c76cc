import type { HttpChain } from "@tulle/engine";

import type { Failure } from "../rescue.js";
import type { CanonicalRequest } from "./canonical-request.js";
import type { RequestSource } from "./contract.js";

/** Name of the listener whose routes lead out of the mesh: it is there where the policy for unknown hosts is ALLOW_ANY. */
export const VIRTUAL_OUTBOUND_HTTP = "virtualOutboundHttp";

const HAS_PORT = /:\d+$/;

/** Is told which configuration is waited for. */
interface ChainDemand {
  onDemand(name: string): void;
}

/**
 * The chain that serves a request, or why there is none; undefined while that is not known. Where the listener has
 * another name for it (`fallbackAuthority`), `request.authority` becomes that one.
 */
export function findChain(
  source: RequestSource,
  request: CanonicalRequest,
  demand: ChainDemand,
): HttpChain | Failure | undefined {
  if (source.fixedAuthority === "" && source.isOwnAddress(request.authority)) return "loop";
  let chain = source.chain(request.authority);
  if (chain === null && source.fallbackAuthority !== undefined) {
    request.authority = source.fallbackAuthority;
    chain = source.chain(request.authority);
  }
  if (chain === null && request.proxied && source.fixedAuthority === "" && source.outside !== undefined) {
    const { authority } = request;
    const known = source.outside.knows(HAS_PORT.test(authority) ? authority : `${authority}:80`);
    return known === true ? chainOf(source, VIRTUAL_OUTBOUND_HTTP, demand) : known;
  }
  if (chain === undefined) demand.onDemand(request.authority);
  return chain === null ? "unknown-service" : chain;
}

function chainOf(source: RequestSource, name: string, demand: ChainDemand): HttpChain | Failure | undefined {
  const chain = source.chain(name);
  if (chain === undefined) demand.onDemand(name);
  return chain === null ? "unknown-service" : chain;
}

/** Whether a CONNECT gets its connection, or why not; undefined while that is not known. */
export function findConnection(
  source: RequestSource,
  { authority }: CanonicalRequest,
): true | Failure | undefined {
  if (source.connects === undefined) return "unsupported";
  if (source.isOwnAddress(authority)) return "loop";
  return source.connects.knows(authority);
}
