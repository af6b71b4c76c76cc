import { MeshError } from "@tulle/base";
import { grpcStatusOfKind } from "@tulle/http";
import type { GrpcFailure } from "@tulle/http/socket";

/**
 * What a gRPC handler answers for a failure. The message goes to the peer, but for `internal` failures, whose text may
 * tell what is nobody's business: log those before.
 */
export function grpcFailureOf(thrown: unknown): GrpcFailure {
  const { kind, message } = MeshError.from(thrown);
  return {
    status: grpcStatusOfKind(kind),
    message: kind === "internal" ? "internal error; see the control plane's log" : message,
  };
}
