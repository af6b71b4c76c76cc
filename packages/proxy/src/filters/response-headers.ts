import type { FormatSource, HeaderMutation } from "@tulle/engine";
import { connectionOptions, lowerName, NameMemo, type HeaderList } from "@tulle/http";

import { Disposition, dispositionOf } from "./header-disposition.js";
import { applyHeaderMutations } from "./header-mutations.js";
import { joinNames } from "./request-headers.js";

const NO_NAMES: readonly string[] = [];
const dispositions = new NameMemo(dispositionOf);

/**
 * The fields of the response that goes downstream: spelling and order as received. `serviceTimeMs` < 0 leaves
 * `x-envoy-upstream-service-time` as it is (interim responses).
 */
export function downstreamResponseHeaders(
  received: HeaderList,
  serviceTimeMs: number,
  mutations: readonly HeaderMutation[],
  source?: FormatSource,
): HeaderList {
  const out: HeaderList = [];
  let named: readonly string[] = NO_NAMES;
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] as string;
    switch (dispositions.at(i >> 1, name)) {
      case Disposition.CONNECTION:
        named = joinNames(named, connectionOptions(received[i + 1] as string));
        continue;
      case Disposition.DROP:
      case Disposition.ORIGINAL_PATH:
      case Disposition.TE:
      case Disposition.PEER_METADATA:
      case Disposition.PEER_METADATA_ID:
        continue;
      case Disposition.SERVICE_TIME:
        if (serviceTimeMs >= 0) continue;
        break;
      default:
    }
    out.push(name, received[i + 1] as string);
  }
  if (named.length > 0) dropNamed(out, named);
  if (serviceTimeMs >= 0) out.push("x-envoy-upstream-service-time", String(serviceTimeMs));
  if (mutations.length > 0) applyHeaderMutations(out, mutations, source);
  return out;
}

/** As `downstreamResponseHeaders`, for an answer that begins a tunnel: it has no content, whatever it says. */
export function switchedResponseHeaders(
  received: HeaderList,
  serviceTimeMs: number,
  mutations: readonly HeaderMutation[],
  source?: FormatSource,
): HeaderList {
  const out = downstreamResponseHeaders(received, serviceTimeMs, mutations, source);
  dropNamed(out, ["content-length"]);
  return out;
}

function dropNamed(headers: HeaderList, named: readonly string[]): void {
  let to = 0;
  for (let from = 0; from < headers.length; from += 2) {
    if (named.includes(lowerName(headers[from] as string))) continue;
    headers[to] = headers[from] as string;
    headers[to + 1] = headers[from + 1] as string;
    to += 2;
  }
  headers.length = to;
}
