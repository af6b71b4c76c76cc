import { type HeaderList, GrpcStatus, grpcStatusOf } from "@tulle/http";

import type { ProxyError } from "./proxy-status.js";

/** Every way in which the proxy itself ends an exchange. */
export type Failure =
  | "no-route"
  | "unknown-service"
  | "blocked"
  | "misdirected"
  | "not-ready"
  | "too-many-waiting"
  | "no-healthy-upstream"
  | "endpoint-wait-timeout"
  | "endpoint-wait-full"
  | "fail-fast"
  | "overflow"
  | "overload"
  | "connect-failure"
  | "connect-timeout"
  | "upstream-reset"
  | "upstream-remote-reset"
  | "upstream-refused"
  | "upstream-protocol-error"
  | "response-cut"
  | "response-reset"
  | "response-invalid"
  | "request-timeout"
  | "per-try-timeout"
  | "per-try-idle-timeout"
  | "idle-timeout"
  | "request-too-slow"
  | "max-duration"
  | "denied"
  | "unsupported"
  | "no-upgrade"
  | "bad-upgrade"
  | "loop"
  | "internal";

/** What is known of the exchange that failed. */
export interface FailureFacts {
  /** Service as the caller named it. */
  readonly authority: string;
  /** "" before a route was chosen. */
  readonly cluster: string;
  /** `host:port`, "" before an endpoint was chosen. */
  readonly endpoint: string;
  /** System error code or TLS reason, "" when there is none. */
  readonly reason: string;
  /** Tries made. */
  readonly attempts: number;
  readonly timeoutMs: number;
  /** Whether the request had come whole: before, whoever waits for it is not to blame. */
  readonly requestDone: boolean;
  /** It was not tried again because its body is larger than what is kept. */
  readonly bodyNotKept: boolean;
}

/** A response that the proxy makes itself. */
export interface Rescue {
  readonly status: number;
  /** Envoy's response flag. */
  readonly flag: string;
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: string;
  /** For gRPC callers, who get it instead of status and body. */
  readonly grpcStatus: number;
  /** For Proxy-Status. */
  readonly error: ProxyError;
  /** Plain text: what happened and what to do about it. */
  readonly body: string;
}

interface Row {
  readonly status: number;
  /** Where it is another one before the request has come whole. */
  readonly statusBefore?: number;
  /** Where the status alone does not say it. */
  readonly grpcStatus?: number;
  readonly flag: string;
  readonly error: ProxyError | ((facts: FailureFacts) => ProxyError);
  readonly details: (facts: FailureFacts) => string;
  readonly body: (facts: FailureFacts) => string;
}

const ROWS: Readonly<Record<Failure, Row>> = {
  "no-route": {
    status: 404,
    flag: "NR",
    error: "destination_not_found",
    details: () => "route_not_found",
    body: (f) =>
      `no route of ${f.authority} matches this request; see its VirtualService (tulle get virtualservices) or its routes (tulle get httproutes, grpcroutes)`,
  },
  "unknown-service": {
    status: 404,
    grpcStatus: GrpcStatus.UNAVAILABLE,
    flag: "NR",
    error: "destination_not_found",
    details: () => "route_not_found",
    body: (f) =>
      `the mesh knows no HTTP service ${f.authority}; check the name, that it is registered (curl http://127.0.0.1:8500/v1/catalog/services), and that it speaks HTTP (one of protocol tcp is reached by CONNECT, or by an --upstream of its own)`,
  },
  blocked: {
    status: 502,
    // Envoy's is what an answer of its own has, as Istio's route `block_all` is one.
    flag: "-",
    error: "http_request_denied",
    details: () => "direct_response",
    body: (f) =>
      `${f.authority} is outside of the mesh, and the outbound traffic policy is REGISTRY_ONLY: name the host in a ServiceEntry, or allow all (outboundTrafficPolicy ALLOW_ANY)`,
  },
  misdirected: {
    status: 421,
    flag: "NR",
    error: "destination_not_found",
    details: () => "misdirected_request",
    body: (f) =>
      `${f.authority} is served by another server of this gateway than the one that this connection's TLS was made for; connect anew with its name (SNI)`,
  },
  "not-ready": {
    status: 503,
    flag: "NC",
    error: "proxy_configuration_error",
    details: () => "cluster_not_found{configuration_timeout}",
    body: (f) =>
      `the control plane has not sent the configuration of ${f.authority} in time; check that it runs (tulle status)`,
  },
  "too-many-waiting": {
    status: 503,
    flag: "UO",
    error: "proxy_internal_error",
    details: () => "overflow{waiting_for_configuration}",
    body: (f) => `too many requests wait for the configuration of ${f.authority}; retry later`,
  },
  "no-healthy-upstream": {
    status: 503,
    flag: "UH",
    error: "destination_unavailable",
    details: () => "no_healthy_upstream",
    body: (f) =>
      `no healthy instance of ${f.cluster || f.authority}; register one, or see why its health checks fail (tulle status, or /clusters on the sidecar's admin port)`,
  },
  "endpoint-wait-timeout": {
    status: 503,
    flag: "UH",
    error: "destination_unavailable",
    details: () => "no_healthy_upstream{endpoint_wait_timeout}",
    body: (f) =>
      `no instance of ${f.cluster || f.authority} was ready in the time that requests wait for one (waitForEndpoint of its TrafficPolicy); register one, or see why its health checks fail (tulle status, or /clusters on the sidecar's admin port)`,
  },
  "endpoint-wait-full": {
    status: 503,
    flag: "UO",
    error: "destination_unavailable",
    details: () => "overflow{waiting_for_endpoint}",
    body: (f) =>
      `no instance of ${f.cluster || f.authority} is ready, and as many requests wait for one as may (waitForEndpoint.maxRequests of its TrafficPolicy); retry later`,
  },
  "fail-fast": {
    status: 503,
    flag: "UH",
    error: "destination_unavailable",
    details: () => "no_healthy_upstream{fail_fast}",
    body: (f) =>
      `no instance of ${f.cluster || f.authority} is ready, and others have waited for one in vain (waitForEndpoint of its TrafficPolicy): until one is, requests fail at once; see why its health checks fail (tulle status, or /clusters on the sidecar's admin port)`,
  },
  overflow: {
    status: 503,
    flag: "UO",
    error: "connection_limit_reached",
    details: () => "upstream_reset_before_response_started{overflow}",
    body: (f) =>
      `circuit breaker of ${f.cluster} is open: too many requests or connections at once; retry later or raise its connectionPool limits`,
  },
  overload: {
    status: 503,
    flag: "OM",
    error: "proxy_internal_error",
    details: () => "overload",
    body: () =>
      "this sidecar is overloaded and refuses a part of the requests; retry later, give it more CPU or memory, or run more instances (docs/overload.md)",
  },
  "connect-failure": {
    status: 503,
    flag: "UF",
    error: connectError,
    details: (f) => `upstream_reset_before_response_started{${reason("remote_connection_failure", f)}}`,
    body: (f) =>
      `cannot connect to ${f.endpoint} of ${f.cluster}${because(f)} after ${tries(f)}; check that it listens there`,
  },
  "connect-timeout": {
    status: 503,
    flag: "UF",
    error: "connection_timeout",
    details: () => "upstream_reset_before_response_started{connection_timeout}",
    body: (f) =>
      `connecting to ${f.endpoint} of ${f.cluster} timed out after ${tries(f)}; check the network between here and there`,
  },
  "upstream-reset": {
    status: 503,
    flag: "UC",
    error: "connection_terminated",
    details: () => "upstream_reset_before_response_started{connection_termination}",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} closed the connection before it answered${because(f)}; see that instance's own log`,
  },
  "upstream-remote-reset": {
    status: 503,
    flag: "UR",
    error: "http_response_incomplete",
    details: () => "upstream_reset_before_response_started{remote_reset}",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} ended the request before it answered${because(f)}; see that instance's own log`,
  },
  "upstream-refused": {
    status: 503,
    flag: "UR",
    error: "connection_terminated",
    details: () => "upstream_reset_before_response_started{remote_refused_stream_reset}",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} takes no more requests (after ${tries(f)}); it is stopping, or has too many`,
  },
  "upstream-protocol-error": {
    status: 502,
    flag: "UPE",
    error: "http_protocol_error",
    details: () => "upstream_reset_before_response_started{protocol_error}",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} sent an invalid HTTP response${because(f)}; does another protocol live on that port?`,
  },
  // These come after the response's head: only gRPC callers can still be told.
  "response-cut": {
    status: 503,
    flag: "UC",
    error: "http_response_incomplete",
    details: () => "upstream_reset_after_response_started{connection_termination}",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} broke off in the middle of its answer${because(f)}; see that instance's own log`,
  },
  "response-reset": {
    status: 503,
    flag: "UR",
    error: "http_response_incomplete",
    details: () => "upstream_reset_after_response_started{remote_reset}",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} ended the request in the middle of its answer${because(f)}; see that instance's own log`,
  },
  "response-invalid": {
    status: 502,
    flag: "UPE",
    error: "http_protocol_error",
    details: () => "upstream_reset_after_response_started{protocol_error}",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} sent an invalid end of its answer${because(f)}; see that instance's own log`,
  },
  "request-timeout": {
    status: 504,
    grpcStatus: GrpcStatus.DEADLINE_EXCEEDED,
    flag: "UT",
    error: "http_response_timeout",
    details: () => "response_timeout",
    body: (f) => `no complete answer from ${f.cluster} within the route's timeout of ${f.timeoutMs} ms`,
  },
  "per-try-timeout": {
    status: 504,
    grpcStatus: GrpcStatus.DEADLINE_EXCEEDED,
    flag: "UT",
    error: "http_response_timeout",
    details: () => "upstream_per_try_timeout",
    body: (f) => `no answer from ${f.cluster} within the per-try timeout of ${f.timeoutMs} ms in ${tries(f)}`,
  },
  "per-try-idle-timeout": {
    status: 504,
    grpcStatus: GrpcStatus.DEADLINE_EXCEEDED,
    flag: "UT",
    error: "connection_read_timeout",
    details: () => "upstream_per_try_idle_timeout",
    body: (f) => `nothing came from ${f.cluster} for ${f.timeoutMs} ms in ${tries(f)}`,
  },
  "idle-timeout": {
    status: 504,
    statusBefore: 408,
    grpcStatus: GrpcStatus.DEADLINE_EXCEEDED,
    flag: "SI",
    error: "connection_read_timeout",
    details: () => "stream_idle_timeout",
    body: (f) => `nothing moved on this request for ${f.timeoutMs} ms`,
  },
  "request-too-slow": {
    status: 408,
    grpcStatus: GrpcStatus.DEADLINE_EXCEEDED,
    flag: "-",
    error: "http_request_error",
    details: () => "request_overall_timeout",
    body: (f) => `the request did not come whole within the listener's request timeout of ${f.timeoutMs} ms`,
  },
  "max-duration": {
    status: 504,
    statusBefore: 408,
    grpcStatus: GrpcStatus.DEADLINE_EXCEEDED,
    flag: "DT",
    error: "http_response_timeout",
    details: () => "max_duration_timeout",
    body: (f) => `the request took longer than ${f.timeoutMs} ms in all, as long as one may`,
  },
  denied: {
    status: 403,
    flag: "UAEX",
    error: "http_request_denied",
    details: () => "rbac_access_denied",
    body: () => "access denied by the mesh's policy",
  },
  unsupported: {
    status: 501,
    grpcStatus: GrpcStatus.UNIMPLEMENTED,
    flag: "-",
    error: "http_request_error",
    details: () => "unsupported_by_proxy",
    body: (f) => `this sidecar does not carry ${f.reason}`,
  },
  "no-upgrade": {
    status: 501,
    flag: "-",
    error: "http_upgrade_failed",
    details: () => "upgrade_failed",
    body: (f) =>
      `${f.endpoint} of ${f.cluster} speaks HTTP/2 without extended CONNECT (RFC 8441): an upgrade to ${f.reason} cannot reach it; update the sidecar there, or declare the service http instead of http2`,
  },
  "bad-upgrade": {
    status: 400,
    flag: "-",
    error: "http_request_error",
    details: () => "upgrade_failed",
    body: () =>
      "a WebSocket handshake needs one Sec-WebSocket-Key of 16 bytes in base64 (RFC 6455 section 4.1)",
  },
  loop: {
    status: 508,
    grpcStatus: GrpcStatus.UNAVAILABLE,
    flag: "NR",
    error: "proxy_loop_detected",
    details: () => "loop_detected",
    body: (f) => `${f.authority} is this sidecar itself; name the service in Host, e.g. Host: reviews:9080`,
  },
  internal: {
    status: 500,
    grpcStatus: GrpcStatus.INTERNAL,
    flag: "-",
    error: "proxy_internal_error",
    details: () => "internal_error",
    body: () => "unexpected failure in the sidecar; see its log",
  },
};

/** The one table from failures to responses. Nothing else in the proxy makes an error response. */
export function rescue(failure: Failure, facts: FailureFacts): Rescue {
  const row = ROWS[failure];
  return {
    status: facts.requestDone ? row.status : (row.statusBefore ?? row.status),
    flag: row.flag,
    details: row.details(facts),
    error: typeof row.error === "string" ? row.error : row.error(facts),
    grpcStatus: row.grpcStatus ?? grpcStatusOf(row.status),
    body: `${row.body(facts)}${facts.bodyNotKept ? BODY_NOT_KEPT : ""}\n`,
  };
}

/** Headers of a rescue's response; its body is sent as Latin-1 bytes of `length`. */
export function rescueHeaders(length: number): HeaderList {
  return ["content-length", String(length), "content-type", "text/plain"];
}

/** By the system error code, or OpenSSL's words. */
function connectError({ reason: why }: FailureFacts): ProxyError {
  if (why === "ECONNREFUSED") return "connection_refused";
  if (why === "ETIMEDOUT") return "connection_timeout";
  if (why === "ECONNRESET" || why === "EPIPE") return "connection_terminated";
  if (/^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/.test(why)) return "destination_ip_unroutable";
  if (why === "ENOTFOUND") return "dns_error";
  if (why === "EAI_AGAIN") return "dns_timeout";
  if (/ALERT/i.test(why)) return "tls_alert_received";
  if (/CERT|SELF_SIGNED|ALTNAME|ISSUER|CRL|spiffe:/i.test(why)) return "tls_certificate_error";
  if (/SSL|TLS|EPROTO/i.test(why)) return "tls_protocol_error";
  return "destination_unavailable";
}
const BODY_NOT_KEPT =
  "; not tried again, as its body is larger than what is kept of one (limit request.maxReplayBytes)";

function because(facts: FailureFacts): string {
  return facts.reason === "" ? "" : ` (${facts.reason})`;
}

function reason(text: string, facts: FailureFacts): string {
  // Braces, blanks and quotes would break tools that split log lines; Envoy replaces them by underscores too.
  return facts.reason === "" ? text : `${text}|${facts.reason.replaceAll(/[^\w.:-]+/g, "_")}`;
}

function tries(facts: FailureFacts): string {
  return facts.attempts === 1 ? "1 try" : `${facts.attempts} tries`;
}
