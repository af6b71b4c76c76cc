import { applyHeaders, endpointHost, type EndpointPart, type Plan } from "@tulle/engine";
import type { HeaderList } from "@tulle/http";

import { forwardedClientCert } from "../filters/forwarded-client-cert.js";
import { applyHeaderMutations } from "../filters/header-mutations.js";
import { upstreamRequestHeaders, type RequestFields } from "../filters/request-headers.js";
import type { ExchangeRecord } from "./exchange-record.js";
import { timeForTry } from "./time-limits.js";

/** The fields of a try's request. `peerMetadata`: own workload, told to other sidecars. `nowMs`: monotonic. */
export function requestHeadersOf(
  record: ExchangeRecord,
  fields: RequestFields,
  plan: Plan,
  endpoint: EndpointPart,
  peerMetadata: string,
  nowMs: number,
): HeaderList {
  const { request, source, admission, chain } = record;
  const host =
    plan.authorityOf?.(request) ??
    plan.rewriteAuthority ??
    (plan.takesEndpointHost === true ? endpointHost(plan, endpoint) : undefined) ??
    request.host;
  const headers = upstreamRequestHeaders(request.headers, fields, {
    direction: source.direction,
    host,
    requestId: record.requestId,
    scheme: request.scheme,
    // A copy goes out before the first try is counted.
    attempt: Math.max(record.attempt.attempts, 1),
    timeoutRetry: record.timeoutRetry && plan.tellsTimeoutRetry === true,
    timeForTryMs: timeForTry(record, plan, nowMs),
    outside: plan.cluster.originalDestination,
    peerMetadata: source.direction === "outbound" && endpoint.tls?.kind === "mesh" ? peerMetadata : "",
    forwardedClientCert:
      chain === undefined
        ? ""
        : forwardedClientCert(chain.clientCert, source.forwardedClientCert, request.headers),
    forwardedFor: record.edge?.forwardedFor ?? source.forwardedFor,
    edge: record.edge,
    mutations: plan.requestHeaders,
    source: record,
  });
  if (plan.rewritePath !== undefined) tell(headers, "x-envoy-original-path", request.path);
  if (plan.tellsForwardedHost === true && host !== request.host)
    headers.push("x-forwarded-host", request.host);
  if (admission !== undefined) {
    applyHeaderMutations(headers, admission.request, record);
    // That of the body before it was translated.
    if (admission.translation !== undefined)
      applyHeaders(headers, [{ op: "remove", name: "content-length" }]);
  }
  return headers;
}

/** Sets a field of the proxy's own: a client's is not believed. */
function tell(headers: HeaderList, name: string, value: string): void {
  applyHeaderMutations(headers, [{ op: "set", name, value }]);
}

/** The method of a try's request, which a step may have altered. */
export function requestMethodOf({ request, admission }: ExchangeRecord): string {
  return admission?.altered?.method ?? request.method;
}

/** The target of a try's request: the path as it was matched or a step altered it, rewritten as the route says. */
export function requestTargetOf({ request, admission }: ExchangeRecord, plan: Plan): string {
  const path = admission?.altered?.path ?? request.path;
  return plan.rewritePath === undefined ? path : plan.rewritePath(path);
}
