import { getHeader, type HeaderList } from "@tulle/http";

import { addProxyStatus, PROXY_ERRORS, proxyStatusMember, type ProxyError } from "../proxy-status.js";
import type { ExchangeRecord } from "./exchange-record.js";

/** How this proxy names itself in Proxy-Status. */
export interface ProxyNames {
  /** "" = it says nothing unless its configuration asks for it. */
  readonly proxyName: string;
  /** Its xDS node id. */
  readonly nodeId: string;
}

/** The id of a client may have any length. */
const MAX_REQUEST_ID = 256;

/** Envoy's flags of answers that filters make. */
const ERRORS_OF_FLAGS: ReadonlyMap<string, ProxyError> = new Map<string, ProxyError>([
  ["UAEX", "http_request_denied"],
  ["RL", "http_request_denied"],
  ["RLSE", "proxy_internal_error"],
  ["IH", "http_request_error"],
  ["FI", "proxy_internal_response"],
]);

/** Names the request in a response, for whoever wants to know why it came to this. */
export function addRequestId(headers: HeaderList, { requestId }: ExchangeRecord): void {
  if (requestId.length > MAX_REQUEST_ID || getHeader(headers, "x-request-id") !== undefined) return;
  headers.push("x-request-id", requestId);
}

/**
 * Adds to the head, or the trailers, of an answer of the proxy's own what went wrong. Gives the status that it shall have:
 * the configuration may ask for the one that RFC 9209 recommends.
 */
export function tellFailure(
  headers: HeaderList,
  record: ExchangeRecord,
  names: ProxyNames,
  status: number,
): number {
  const error = errorOf(record, status);
  if (error === undefined) return status;
  const settings = record.chain?.proxyStatus;
  const name = nameFor(record, names);
  if (name === "") return status;
  const member = proxyStatusMember({
    name,
    error,
    nextHop: record.upstreamHost,
    receivedStatus: record.tries.lastStatus,
    details: settings?.details === false ? "" : detailsOf(record),
  });
  addProxyStatus(headers, member);
  const recommended = settings?.recommendedStatus === true ? PROXY_ERRORS[error] : 0;
  return recommended === 0 ? status : recommended;
}

/** What went wrong; undefined where nothing did: redirects, and texts that routes say to answer. */
function errorOf({ proxyError, responseFlags }: ExchangeRecord, status: number): ProxyError | undefined {
  if (proxyError !== undefined) return proxyError;
  if (responseFlags === "") return undefined;
  for (const flag of responseFlags.split(",")) {
    const error = ERRORS_OF_FLAGS.get(flag);
    if (error !== undefined) return error;
  }
  return status >= 400 ? "proxy_internal_response" : undefined;
}

function nameFor({ chain }: ExchangeRecord, { proxyName, nodeId }: ProxyNames): string {
  const settings = chain?.proxyStatus;
  if (settings === undefined) return proxyName;
  if (settings.useNodeId) return nodeId;
  if (settings.name !== "") return settings.name;
  return proxyName === "" ? "tulle" : proxyName;
}

/** As Envoy has them: `route_not_found; NR`. */
function detailsOf({
  chain,
  responseCodeDetails,
  connectionTerminationDetails,
  responseFlags,
}: ExchangeRecord): string {
  const { connectionTermination = true, responseFlags: flags = true } = chain?.proxyStatus ?? {};
  const parts = [responseCodeDetails];
  if (connectionTermination) parts.push(connectionTerminationDetails);
  if (flags) parts.push(responseFlags);
  return parts.filter((part) => part !== "").join("; ");
}
