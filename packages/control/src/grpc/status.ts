import * as grpc from "@grpc/grpc-js";
import { MeshError, type ErrorKind } from "@tulle/base";

const STATUS: Readonly<Record<ErrorKind, grpc.status>> = {
  invalid: grpc.status.INVALID_ARGUMENT,
  "not-found": grpc.status.NOT_FOUND,
  "already-exists": grpc.status.ALREADY_EXISTS,
  conflict: grpc.status.ABORTED,
  unavailable: grpc.status.UNAVAILABLE,
  timeout: grpc.status.DEADLINE_EXCEEDED,
  canceled: grpc.status.CANCELLED,
  exhausted: grpc.status.RESOURCE_EXHAUSTED,
  denied: grpc.status.PERMISSION_DENIED,
  unauthenticated: grpc.status.UNAUTHENTICATED,
  unimplemented: grpc.status.UNIMPLEMENTED,
  internal: grpc.status.INTERNAL,
};

/**
 * What a gRPC handler answers for a failure: the one table from error kinds to gRPC status codes. The message goes to
 * the peer, but for `internal` failures, whose text may tell what is nobody's business: log those before.
 */
export function grpcStatusOf(thrown: unknown): Pick<grpc.StatusObject, "code" | "details"> {
  const error = MeshError.from(thrown);
  return {
    code: STATUS[error.kind],
    details: error.kind === "internal" ? "internal error; see the control plane's log" : error.message,
  };
}
