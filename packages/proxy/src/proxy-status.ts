// Proxy-Status (RFC 9209): what a proxy did to a response, for machines. Written as a Structured Field (RFC 9651): a list of
// items, one for each proxy on the way, the one nearest to the server first.
import { lowerName, type HeaderList } from "@tulle/http";

/** Error types of RFC 9209 section 2.3 that this proxy uses, with the status that it recommends for each. */
export const PROXY_ERRORS = {
  dns_timeout: 504,
  dns_error: 502,
  destination_not_found: 500,
  destination_unavailable: 503,
  destination_ip_unroutable: 502,
  connection_refused: 502,
  connection_terminated: 502,
  connection_timeout: 504,
  connection_read_timeout: 504,
  connection_limit_reached: 503,
  tls_protocol_error: 502,
  tls_certificate_error: 502,
  tls_alert_received: 502,
  http_request_error: 400,
  http_request_denied: 403,
  http_response_incomplete: 502,
  http_response_timeout: 504,
  http_upgrade_failed: 502,
  http_protocol_error: 502,
  proxy_internal_response: 0,
  proxy_internal_error: 500,
  proxy_configuration_error: 500,
  proxy_loop_detected: 502,
} as const;

export type ProxyError = keyof typeof PROXY_ERRORS;

export const PROXY_STATUS_HEADER = "proxy-status";

/** What one proxy says of a response that it made. */
export interface ProxyStatus {
  readonly name: string;
  readonly error: ProxyError;
  /** `host:port` of the server that was asked; "" = nobody was. */
  readonly nextHop: string;
  /** Status of that server's last response; 0 = none came. */
  readonly receivedStatus: number;
  /** For people; "" = nothing is said. */
  readonly details: string;
}

const TOKEN = /^[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*$/;
const MAX_DETAILS = 256;
const MAX_NAME = 256;

/** The member of the list that says it. */
export function proxyStatusMember({ name, error, nextHop, receivedStatus, details }: ProxyStatus): string {
  let member = `${tokenOrString(name.slice(0, MAX_NAME))}; error=${error}`;
  if (nextHop !== "") member += `; next-hop=${tokenOrString(nextHop.slice(0, MAX_NAME))}`;
  if (receivedStatus > 0) member += `; received-status=${receivedStatus}`;
  if (details !== "") member += `; details=${quoted(details.slice(0, MAX_DETAILS))}`;
  return member;
}

/** Adds a member behind what proxies nearer to the server have said. */
export function addProxyStatus(headers: HeaderList, member: string): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (lowerName(headers[i]!) !== PROXY_STATUS_HEADER) continue;
    headers[i + 1] = `${headers[i + 1]}, ${member}`;
    return;
  }
  headers.push(PROXY_STATUS_HEADER, member);
}

function tokenOrString(text: string): string {
  return TOKEN.test(text) ? text : quoted(text);
}

/** Strings have visible ASCII and blanks only. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[^ -~]/g, "?").replaceAll(/["\\]/g, "\\$&")}"`;
}
