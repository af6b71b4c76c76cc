import { MeshError } from "@tulle/base";
import { grpcStatusOfKind } from "@tulle/http";
import type { GrpcFailure } from "@tulle/http/socket";

/** What a local client is told of a failure: the agent is its own, and has no secrets in its errors. */
export function failureOf(thrown: unknown): GrpcFailure {
  const { kind, message } = MeshError.from(thrown);
  return { status: grpcStatusOfKind(kind), message };
}
