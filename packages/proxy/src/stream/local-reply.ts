import type { AdmissionReply, HeaderMutation } from "@tulle/engine";
import {
  grpcStatusOf,
  lowerName,
  NO_GRPC_STATUS,
  trailersOnly,
  type HeaderList,
  type Http1Error,
} from "@tulle/http";

import { applyHeaderMutations } from "../filters/header-mutations.js";
import { tellUpstreamFailure } from "../filters/upstream-failure.js";
import { rescue, rescueHeaders, type Failure } from "../rescue.js";
import type { Untranslatable } from "../translation/index.js";
import type { ExchangeRecord } from "./exchange-record.js";

/** An answer that the proxy makes itself. */
export interface LocalReply {
  readonly status: number;
  /** Of a gRPC caller's answer: what any other one would be answered with. */
  readonly httpStatus?: number;
  readonly headers: HeaderList;
  /** A gRPC caller is told it in `headers`. */
  readonly body: string;
  /** The body, where it is not text. */
  readonly bytes?: Uint8Array | undefined;
  /** In `headers` for a gRPC caller; `NO_GRPC_STATUS` for every other one. */
  readonly grpcStatus: number;
}

/** Says why there is no answer. Notes Envoy's flag and details in `record`. */
export function failureReply(record: ExchangeRecord, failure: Failure, reason: string): LocalReply {
  const made = rescue(failure, {
    authority: record.request.authority,
    cluster: record.upstreamCluster,
    endpoint: record.upstreamHost,
    reason,
    attempts: record.attempt.attempts,
    timeoutMs: timeoutOf(record, failure),
    requestDone: record.requestDone,
    bodyNotKept: record.bodyNotKept,
  });
  record.addFlag(made.flag);
  record.responseCodeDetails = made.details;
  record.proxyError = made.error;
  const reply = record.grpc
    ? grpcReply(made.grpcStatus, made.body.trimEnd(), made.status)
    : textReply(made.status, made.body);
  if (failure === "overflow") reply.headers.push("x-envoy-overloaded", "true");
  if (failure === "overload") reply.headers.push("x-envoy-local-overloaded", "true");
  if (record.source.peerSpiffeId !== "") tellUpstreamFailure(reply.headers, failure);
  return reply;
}

/** Says what is wrong with the request's bytes. */
export function malformedReply(record: ExchangeRecord, error: Http1Error): LocalReply {
  record.addFlag("DPE");
  record.proxyError = "http_request_error";
  record.responseCodeDetails = `http1.${error.code.toLowerCase()}`;
  return textReply(error.status, `${error.message}\n`);
}

/** Says why a request cannot become a gRPC call. */
export function untranslatableReply(
  record: ExchangeRecord,
  { grpcStatus, status, message, details }: Untranslatable,
): LocalReply {
  record.responseCodeDetails = details;
  record.proxyError = "http_request_error";
  return grpcReply(grpcStatus, message, status);
}

/** What the configuration says to answer. */
export function configuredReply(
  record: ExchangeRecord,
  status: number,
  body: string,
  headers: HeaderList,
  mutations: readonly HeaderMutation[],
  bytes?: Uint8Array,
): LocalReply {
  if (record.grpc && status >= 400) return grpcReply(grpcStatusOf(status), body, status);
  const out = [...headers];
  applyHeaderMutations(out, mutations, record);
  if (record.admission !== undefined) applyHeaderMutations(out, record.admission.response, record);
  if (status !== 204 && status !== 304)
    out.push("content-length", String(bytes?.length ?? Buffer.byteLength(body)));
  return { status, headers: out, body, bytes, grpcStatus: NO_GRPC_STATUS };
}

/** What a step of the chain says to answer. */
export function admissionReply(
  record: ExchangeRecord,
  { status, body, headers, grpcStatus }: AdmissionReply,
  mutations: readonly HeaderMutation[],
): LocalReply {
  if (!record.grpc) return configuredReply(record, status, body, headers, mutations);
  const reply = grpcReply(grpcStatus ?? grpcStatusOf(status), body, status);
  // What gRPC says of the content has been said.
  for (let i = 0; i < headers.length; i += 2)
    if (lowerName(headers[i]!) !== "content-type") reply.headers.push(headers[i]!, headers[i + 1]!);
  if (record.admission !== undefined) applyHeaderMutations(reply.headers, record.admission.response, record);
  return reply;
}

function textReply(status: number, body: string): LocalReply {
  return { status, headers: rescueHeaders(Buffer.byteLength(body)), body, grpcStatus: NO_GRPC_STATUS };
}

/** A status and nothing else: an HTTP status or a text would tell a gRPC caller little. */
function grpcReply(grpcStatus: number, message: string, httpStatus: number): LocalReply {
  return { status: 200, httpStatus, headers: trailersOnly(grpcStatus, message), body: message, grpcStatus };
}

function timeoutOf({ plan, chain, timeoutMs }: ExchangeRecord, failure: Failure): number {
  switch (failure) {
    case "per-try-timeout":
      return plan?.retry?.perTryTimeoutMs ?? 0;
    case "per-try-idle-timeout":
      return plan?.retry?.perTryIdleTimeoutMs ?? 0;
    case "idle-timeout":
      return plan?.idleTimeoutMs ?? 0;
    case "max-duration":
      return plan?.maxDurationMs ?? chain?.maxDurationMs ?? 0;
    case "request-too-slow":
      return chain?.requestTimeoutMs || timeoutMs;
    default:
      return timeoutMs;
  }
}
