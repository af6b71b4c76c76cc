import {
  getHeader,
  grpcStatusFields,
  grpcStatusOf,
  isGrpcContentType,
  lowerName,
  type HeaderList,
} from "@tulle/http";

/** Fields of a head that are trailers where there is no body (gRPC's Trailers-Only). */
const OF_THE_END: ReadonlySet<string> = new Set(["grpc-status", "grpc-message", "grpc-status-details-bin"]);
/** What gRPC says of its content is not so of the translated one. */
const OF_THE_CONTENT: ReadonlySet<string> = new Set([
  "content-type",
  "content-length",
  "grpc-encoding",
  "grpc-accept-encoding",
]);

/** The head of an answer to a call, taken apart. */
export interface GrpcAnswerHead {
  /** Without what is said of the content and of the call's end. */
  readonly headers: HeaderList;
  /** What it says of the call's end: all of it where there are no messages, else nothing. */
  readonly end: HeaderList;
  /** It is no gRPC: its body is not for the client, who is told so in `end`. */
  readonly foreign: boolean;
}

/** Reads the head of what a gRPC service, or the proxy in its place, answered. */
export function readGrpcAnswer(status: number, headers: HeaderList): GrpcAnswerHead {
  const out: HeaderList = [];
  const end: HeaderList = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = lowerName(headers[i]!);
    if (OF_THE_END.has(name)) end.push(name, headers[i + 1]!);
    else if (!OF_THE_CONTENT.has(name)) out.push(headers[i]!, headers[i + 1]!);
  }
  const isGrpc = status === 200 && isGrpcContentType(getHeader(headers, "content-type") ?? "");
  if (isGrpc || end.includes("grpc-status")) return { headers: out, end, foreign: false };
  const message = `HTTP ${status} in place of an answer by gRPC`;
  return { headers: out, end: grpcStatusFields(grpcStatusOf(status), message), foreign: true };
}
