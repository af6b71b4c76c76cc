import type { FormatSource, HeaderMutation } from "@tulle/engine";
import {
  connectionOptions,
  formatGrpcTimeout,
  isGrpcContentType,
  lowerName,
  NameMemo,
  takesTrailers,
  type HeaderList,
} from "@tulle/http";

import { isExternal, type EdgeRequest } from "../stream/edge-request.js";
import { Disposition, dispositionOf } from "./header-disposition.js";
import { applyHeaderMutations } from "./header-mutations.js";
import { PEER_METADATA_HEADER } from "./peer-metadata.js";

/** What the proxy reads in a request's fields and what it adds to them. */
export interface RequestHeaderPlan {
  readonly direction: "inbound" | "outbound";
  /** Value of Host for the upstream. */
  readonly host: string;
  readonly requestId: string;
  /** `http` or `https`, for a request that does not say. */
  readonly scheme: string;
  /** 1 for the first try. Sent by the outbound side only. */
  readonly attempt: number;
  /** The try before took too long, and the route says to tell. */
  readonly timeoutRetry: boolean;
  /** How long the next hop has for this try, milliseconds; 0 = no limit. */
  readonly timeForTryMs: number;
  /** It leaves the mesh: nobody there is told what proxies tell each other. */
  readonly outside?: boolean;
  /** Own workload for the next sidecar; "" = none is told. */
  readonly peerMetadata: string;
  /** Verified identity of the client, for the application; "" = none. */
  readonly forwardedClientCert: string;
  /** Address that is added to `x-forwarded-for`; "" = none. Of a request from outside the mesh it is the whole value. */
  readonly forwardedFor: string;
  /** Of a request from outside the mesh: what is believed of its fields. */
  readonly edge?: EdgeRequest | undefined;
  readonly mutations: readonly HeaderMutation[];
  /** The exchange, for mutations that tell of it. */
  readonly source?: FormatSource | undefined;
}

const NO_NAMES: readonly string[] = [];

/** Fields of interest of a request, and what happens to each of them: found in one pass. Reused: `scan` overwrites. */
export class RequestFields {
  requestId = "";
  peerMetadata = "";
  hasHost = false;
  hasForwardedProto = false;
  /** Fields that `Connection` names, lower-case: not forwarded. */
  named: readonly string[] = NO_NAMES;
  /** The request is gRPC, by its content type. */
  grpc = false;
  grpcTimeout = "";
  /** How long the caller waits, in milliseconds; "" = it does not say. */
  expectedTimeout = "";
  /** Whether there are fields that tell the proxy how to carry the request. */
  controls = false;
  /** Of each field, in order. */
  readonly dispositions: number[] = [];
  readonly #memo = new NameMemo(dispositionOf);

  scan(headers: HeaderList): void {
    this.requestId = "";
    this.peerMetadata = "";
    this.hasHost = false;
    this.hasForwardedProto = false;
    this.named = NO_NAMES;
    this.grpc = false;
    this.grpcTimeout = "";
    this.expectedTimeout = "";
    this.controls = false;
    for (let i = 0; i < headers.length; i += 2) {
      const disposition = this.#memo.at(i >> 1, headers[i] as string);
      this.dispositions[i >> 1] = disposition;
      if (disposition !== Disposition.KEEP) this.#note(disposition, headers[i + 1] as string);
    }
  }

  #note(disposition: number, value: string): void {
    switch (disposition) {
      case Disposition.HOST:
        this.hasHost = true;
        break;
      case Disposition.REQUEST_ID:
        if (this.requestId === "") this.requestId = value;
        break;
      case Disposition.PEER_METADATA:
        this.peerMetadata = value;
        break;
      case Disposition.FORWARDED_PROTO:
        this.hasForwardedProto = true;
        break;
      case Disposition.CONNECTION:
        this.named = joinNames(this.named, connectionOptions(value));
        break;
      case Disposition.CONTENT_TYPE:
        this.grpc = isGrpcContentType(value);
        break;
      case Disposition.GRPC_TIMEOUT:
        this.grpcTimeout = value;
        break;
      case Disposition.EXPECTED_TIMEOUT:
        this.expectedTimeout = value;
        break;
      case Disposition.CONTROL:
        this.controls = true;
        break;
      default:
    }
  }
}

/**
 * The fields of the request that goes upstream: spelling and order as received, the proxy's own at the end. `fields` were
 * scanned from `received`.
 */
export function upstreamRequestHeaders(
  received: HeaderList,
  fields: RequestFields,
  plan: RequestHeaderPlan,
): HeaderList {
  const outbound = plan.direction === "outbound";
  const { edge } = plan;
  const { dispositions, named } = fields;
  const out: HeaderList = fields.hasHost ? [] : ["host", plan.host];
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] as string;
    const value = received[i + 1] as string;
    switch (dispositions[i >> 1]) {
      case Disposition.DROP:
      case Disposition.CONNECTION:
      case Disposition.PEER_METADATA:
      case Disposition.PEER_METADATA_ID:
      case Disposition.CLIENT_CERT:
      case Disposition.EXPECTED_TIMEOUT:
      case Disposition.CONTROL:
        continue;
      case Disposition.GRPC_TIMEOUT:
        // Never longer than what is left.
        if (!fields.grpc || plan.timeForTryMs === 0) break;
        out.push(name, formatGrpcTimeout(plan.timeForTryMs));
        continue;
      case Disposition.ORIGINAL_PATH:
        if (outbound || plan.forwardedClientCert === "") continue;
        break;
      case Disposition.TE:
        if (!fields.grpc || !takesTrailers(value)) continue;
        break;
      case Disposition.ATTEMPT_COUNT:
        if (outbound) continue;
        break;
      case Disposition.HOST:
        out.push(name, plan.host);
        continue;
      case Disposition.INTERNAL:
        if (edge !== undefined || plan.outside === true) continue;
        break;
      case Disposition.FORWARDED_FOR:
      case Disposition.FORWARDED_PROTO:
        if (edge !== undefined) continue;
        break;
      case Disposition.REQUEST_ID:
        if (edge?.trusts === false) continue;
        break;
      default:
    }
    if (named.length > 0 && named.includes(lowerName(name))) continue;
    out.push(name, value);
  }
  if (fields.requestId === "") out.push("x-request-id", plan.requestId);
  if (!fields.hasForwardedProto || edge !== undefined) out.push("x-forwarded-proto", plan.scheme);
  if (plan.outside !== true) tellProxies(out, plan);
  if (plan.peerMetadata !== "") out.push(PEER_METADATA_HEADER, plan.peerMetadata);
  if (plan.forwardedClientCert !== "") out.push("x-forwarded-client-cert", plan.forwardedClientCert);
  if (plan.forwardedFor !== "") addForwardedFor(out, plan.forwardedFor);
  if (edge !== undefined && isExternal(edge.clientAddress)) {
    out.push("x-envoy-external-address", edge.clientAddress);
  }
  if (plan.mutations.length > 0) applyHeaderMutations(out, plan.mutations, plan.source);
  return out;
}

/** Adds what the next proxy is told of this try. */
function tellProxies(
  out: HeaderList,
  { direction, attempt, timeoutRetry, timeForTryMs }: RequestHeaderPlan,
): void {
  if (direction === "outbound") out.push("x-envoy-attempt-count", String(attempt));
  if (timeoutRetry) out.push("x-envoy-is-timeout-retry", "true");
  if (timeForTryMs > 0) out.push("x-envoy-expected-rq-timeout-ms", String(timeForTryMs));
}

/** Names of two `Connection` fields; nearly always there are none. */
export function joinNames(some: readonly string[], more: readonly string[]): readonly string[] {
  return more.length === 0 ? some : [...some, ...more];
}

/** Adds an address at the end, in one field: many applications read only the first of several. */
function addForwardedFor(headers: HeaderList, address: string): void {
  const name = "x-forwarded-for";
  const before: string[] = [];
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (lowerName(headers[i] as string) === name) {
      before.push(headers[i + 1] as string);
      continue;
    }
    headers[kept++] = headers[i] as string;
    headers[kept++] = headers[i + 1] as string;
  }
  headers.length = kept;
  headers.push(name, [...before, address].join(","));
}
