import { STATUS_CODES } from "node:http";

import type { HeaderMutation } from "@tulle/engine";
import {
  grpcStatusFields,
  NO_GRPC_STATUS,
  readGrpcStatus,
  type HeaderList,
  type ResponseHead,
} from "@tulle/http";

import { applyHeaderMutations } from "../filters/header-mutations.js";
import { downstreamResponseHeaders, switchedResponseHeaders } from "../filters/response-headers.js";
import { tellRetried } from "../filters/upstream-failure.js";
import { tellBinding } from "./affinity.js";
import type { DownstreamStream } from "./contract.js";
import type { ExchangeRecord } from "./exchange-record.js";
import { addRequestId, tellFailure, type ProxyNames } from "./failure-headers.js";
import type { LocalReply } from "./local-reply.js";

const NO_MUTATIONS: readonly HeaderMutation[] = [];

/**
 * How the client of an exchange begins to be answered, with the server's response or the proxy's own: the head is
 * written downstream and noted in the record. The end is the exchange's. One per exchange, reused.
 */
export class DownstreamResponse {
  /** Whether its head is written. */
  started = false;
  readonly #record: ExchangeRecord;
  #downstream: DownstreamStream;
  readonly #names: ProxyNames;
  /** A 100 (Continue) was passed on; a second try's is not. */
  #continued = false;

  constructor(record: ExchangeRecord, downstream: DownstreamStream, names: ProxyNames) {
    this.#record = record;
    this.#downstream = downstream;
    this.#names = names;
  }

  /** Who is answered from here on. */
  to(downstream: DownstreamStream): void {
    this.#downstream = downstream;
  }

  /** Prepares for a new request. */
  clear(): void {
    this.started = false;
    this.#continued = false;
  }

  writeInterim(head: ResponseHead): void {
    if (head.status === 100) {
      if (this.#continued) return;
      this.#continued = true;
    }
    const headers = downstreamResponseHeaders(head.headers, -1, NO_MUTATIONS);
    this.#downstream.writeInterim(head.status, reasonOf(head), headers);
  }

  /** `retried`: the calls behind it were tried again already. */
  writeHead(head: ResponseHead, serviceTimeMs: number, retried: boolean): void {
    const record = this.#record;
    if (record.grpc) record.grpcStatus = readGrpcStatus(head.headers);
    this.#note(head);
    const headers = downstreamResponseHeaders(head.headers, serviceTimeMs, this.#mutations, record);
    if (record.plan?.tellsAttempts === true)
      headers.push("x-envoy-attempt-count", String(record.attempt.attempts));
    if (retried) tellRetried(headers);
    if (record.attempt.affinity !== undefined) tellBinding(headers, record);
    if (record.admission !== undefined) applyHeaderMutations(headers, record.admission.response, record);
    if (head.status >= 500 || record.grpcStatus > 0 || record.chain?.requestIdInResponse === true)
      addRequestId(headers, record);
    this.#begin(head.status, headers);
    record.responseCodeDetails = "via_upstream";
    this.#downstream.writeHead(
      head.status,
      reasonOf(head),
      headers,
      head.framing !== "none",
      head.contentLength,
    );
  }

  /** The upgrade is made. */
  writeSwitched(head: ResponseHead, serviceTimeMs: number): void {
    const record = this.#record;
    this.#note(head);
    const headers = switchedResponseHeaders(head.headers, serviceTimeMs, this.#mutations, record);
    if (record.attempt.affinity !== undefined) tellBinding(headers, record);
    this.#begin(101, headers);
    record.responseCodeDetails = "via_upstream";
    this.#downstream.writeSwitched(headers);
  }

  /** Head and body of an answer of the proxy's own. Why it is made is in the record already. */
  writeReply({ status: wanted, headers, body, bytes: raw, grpcStatus }: LocalReply): void {
    const record = this.#record;
    const bytes = Buffer.from(raw ?? body);
    const isGrpc = grpcStatus !== NO_GRPC_STATUS;
    const told = tellFailure(headers, record, this.#names, wanted);
    const status = isGrpc ? wanted : told;
    if (status >= 400 || isGrpc || record.chain?.requestIdInResponse === true) addRequestId(headers, record);
    const hasBody = !isGrpc && record.request.method !== "HEAD" && status !== 204 && status !== 304;
    if (isGrpc) record.grpcStatus = grpcStatus;
    this.#begin(status, headers);
    const length = isGrpc ? -1 : bytes.length;
    this.#downstream.writeHead(status, STATUS_CODES[status] ?? "", headers, hasBody, length);
    if (!hasBody || bytes.length === 0) return;
    record.bytesSent = bytes.length;
    this.#downstream.writeBody(bytes, 0, bytes.length);
  }

  /** The end of a gRPC call that had begun to be answered. */
  trailersOf({ grpcStatus, body }: LocalReply): HeaderList {
    const trailers = grpcStatusFields(grpcStatus, body);
    tellFailure(trailers, this.#record, this.#names, 0);
    return trailers;
  }

  /** What headers that are added may tell of the response. */
  #note({ status, headers }: ResponseHead): void {
    this.#record.responseCode = status;
    this.#record.responseHeaders = headers;
  }

  get #mutations(): readonly HeaderMutation[] {
    return this.#record.plan?.responseHeaders ?? NO_MUTATIONS;
  }

  #begin(status: number, headers: HeaderList): void {
    this.started = true;
    this.#record.responseCode = status;
    this.#record.responseHeaders = headers;
  }
}

/** HTTP/2 has no reason phrase. */
function reasonOf({ status, reason }: ResponseHead): string {
  return reason === "" ? (STATUS_CODES[status] ?? "") : reason;
}
