import { fromBinary, toBinary, type DescMethodUnary, type MessageShape } from "@bufbuild/protobuf";
import type { FactFailure, Way } from "@tulle/engine";
import {
  encodeGrpcMessage,
  formatGrpcTimeout,
  GrpcFrameReader,
  GrpcStatus,
  grpcStatusName,
  NO_GRPC_STATUS,
  readGrpcMessage,
  readGrpcStatus,
  type HeaderList,
} from "@tulle/http";

import type { UpstreamAnswer, UpstreamRequest } from "./upstream-call.js";

/** Who is called, and for whom. */
export interface GrpcCallee {
  readonly way: Way;
  readonly authority: string;
  readonly metadata: HeaderList;
  readonly timeoutMs: number;
  readonly entropy: number;
}

/** A unary call as a request (gRPC over HTTP/2). */
export function grpcRequest<Method extends DescMethodUnary>(
  method: Method,
  message: MessageShape<Method["input"]>,
  { way, authority, metadata, timeoutMs, entropy }: GrpcCallee,
): UpstreamRequest {
  return {
    way,
    method: "POST",
    target: `/${method.parent.typeName}/${method.name}`,
    headers: [
      "host",
      authority,
      "content-type",
      "application/grpc",
      "te",
      "trailers",
      "grpc-timeout",
      formatGrpcTimeout(timeoutMs),
      ...metadata,
    ],
    body: encodeGrpcMessage(toBinary(method.input, message)),
    grpc: true,
    timeoutMs,
    entropy,
  };
}

/** The message of a unary call's answer, or why there is none. */
export function grpcAnswer<Method extends DescMethodUnary>(
  method: Method,
  { status, headers, body, trailers }: UpstreamAnswer,
): MessageShape<Method["output"]> | FactFailure {
  if (status !== 200) return failed("refused", `it answered with HTTP status ${status}`);
  let code = readGrpcStatus(trailers);
  if (code === NO_GRPC_STATUS) code = readGrpcStatus(headers);
  if (code === NO_GRPC_STATUS) return failed("invalid", "its answer has no gRPC status");
  if (code !== GrpcStatus.OK) {
    const message = readGrpcMessage(trailers) || readGrpcMessage(headers);
    // The server knows the deadline too, and may be the first to say that it is over.
    return failed(
      code === GrpcStatus.DEADLINE_EXCEEDED ? "timeout" : "refused",
      `it answered with ${grpcStatusName(code)}${message === "" ? "" : `: ${message}`}`,
    );
  }
  const messages: Buffer[] = [];
  const reader = new GrpcFrameReader(body.length);
  reader.execute(body, 0, body.length, (one) => void messages.push(one));
  const [message] = messages;
  if (reader.error !== undefined) return failed("invalid", reader.error.message);
  if (message === undefined || messages.length > 1 || !reader.complete)
    return failed("invalid", "its answer is not one message");
  try {
    return fromBinary(method.output, message) as MessageShape<Method["output"]>;
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return failed("invalid", `its answer is no ${method.output.typeName}: ${why}`);
  }
}

function failed(reason: FactFailure["reason"], detail: string): FactFailure {
  return { kind: "failed", reason, detail };
}
