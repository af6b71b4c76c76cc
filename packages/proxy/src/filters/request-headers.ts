import type { HeaderMutation } from "@tulle/engine";
import { connectionOptions, isGrpcContentType, lowerName, takesTrailers, type HeaderList } from "@tulle/http";

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
  /** Own workload for the next sidecar; "" = none is told. */
  readonly peerMetadata: string;
  /** Verified identity of the client, for the application; "" = none. */
  readonly forwardedClientCert: string;
  readonly mutations: readonly HeaderMutation[];
}

/** Fields of interest of a request, found in one pass. Reused: `scan` overwrites. */
export class RequestFields {
  requestId = "";
  peerMetadata = "";
  hasForwardedProto = false;
  hasConnection = false;
  /** The request is gRPC, by its content type. */
  grpc = false;
  grpcTimeout = "";

  scan(headers: HeaderList): void {
    this.requestId = "";
    this.peerMetadata = "";
    this.hasForwardedProto = false;
    this.hasConnection = false;
    this.grpc = false;
    this.grpcTimeout = "";
    for (let i = 0; i < headers.length; i += 2) {
      const name = lowerName(headers[i] as string);
      switch (name) {
        case "x-request-id":
          if (this.requestId === "") this.requestId = headers[i + 1] as string;
          break;
        case "x-envoy-peer-metadata":
          this.peerMetadata = headers[i + 1] as string;
          break;
        case "x-forwarded-proto":
          this.hasForwardedProto = true;
          break;
        case "connection":
          this.hasConnection = true;
          break;
        case "content-type":
          this.grpc = isGrpcContentType(headers[i + 1] as string);
          break;
        case "grpc-timeout":
          this.grpcTimeout = headers[i + 1] as string;
          break;
        default:
      }
    }
  }
}

/** The fields of the request that goes upstream: spelling and order as received, the proxy's own at the end. */
export function upstreamRequestHeaders(
  received: HeaderList,
  fields: RequestFields,
  plan: RequestHeaderPlan,
): HeaderList {
  const out: HeaderList = [];
  const outbound = plan.direction === "outbound";
  const named = fields.hasConnection ? connectionOptions(received) : undefined;
  let hasHost = false;
  for (let i = 0; i < received.length; i += 2) {
    const field = received[i] as string;
    const name = lowerName(field);
    switch (dispositionOf(name)) {
      case Disposition.DROP:
        if (!fields.grpc || !takesTrailers(name, received[i + 1] as string)) continue;
        break;
      case Disposition.PEER_METADATA:
      case Disposition.CLIENT_CERT:
        continue;
      case Disposition.ATTEMPT_COUNT:
        if (outbound) continue;
        break;
      case Disposition.HOST:
        hasHost = true;
        out.push(field, plan.host);
        continue;
      default:
    }
    if (named !== undefined && named.includes(name)) continue;
    out.push(field, received[i + 1] as string);
  }
  if (!hasHost) out.unshift("host", plan.host);
  if (fields.requestId === "") out.push("x-request-id", plan.requestId);
  if (!fields.hasForwardedProto) out.push("x-forwarded-proto", plan.scheme);
  if (outbound) out.push("x-envoy-attempt-count", String(plan.attempt));
  if (plan.peerMetadata !== "") out.push(PEER_METADATA_HEADER, plan.peerMetadata);
  if (plan.forwardedClientCert !== "") out.push("x-forwarded-client-cert", plan.forwardedClientCert);
  if (plan.mutations.length > 0) applyHeaderMutations(out, plan.mutations);
  return out;
}
