import { X509Certificate } from "node:crypto";

import { status as GrpcStatus, type handleUnaryCall, type ServerDuplexStream } from "@grpc/grpc-js";

import type { AuditLog } from "../access/index.js";
import type { PeerIdentityOf } from "./peer-identity.js";
import type { GrpcService } from "./server.js";

export interface CallAuditOptions {
  readonly audit: AuditLog;
  readonly identify: PeerIdentityOf;
  /** RFC 9562 UUIDs. */
  readonly newRequestId: () => string;
}

type UnaryHandler = handleUnaryCall<unknown, unknown>;
type Call = Parameters<UnaryHandler>[0];
type Stream = ServerDuplexStream<unknown, unknown>;

const OK: number = GrpcStatus.OK;
const DENIALS: ReadonlySet<number> = new Set([GrpcStatus.PERMISSION_DENIED, GrpcStatus.UNAUTHENTICATED]);

/** The same service; every certificate that it issues and every call that it refuses for want of rights is written down. */
export function auditedService(service: GrpcService, options: CallAuditOptions): GrpcService {
  const { definition, implementation } = service;
  const wrapped = Object.entries(definition).map(([name, { path, requestStream, responseStream }]) => {
    const handler = implementation[name];
    if (handler === undefined) return [name, handler];
    return requestStream || responseStream
      ? [name, auditedStream(handler as (call: Stream) => void, path, options)]
      : [name, auditedUnary(handler as UnaryHandler, path, options)];
  });
  return { definition, implementation: Object.fromEntries(wrapped) as GrpcService["implementation"] };
}

function auditedUnary(handler: UnaryHandler, path: string, options: CallAuditOptions): UnaryHandler {
  return (call, callback) =>
    handler(call, (error, value, ...rest) => {
      const code = error?.code ?? OK;
      const object = certificateIn(value);
      if (code === OK ? object !== undefined : DENIALS.has(code)) record(call, path, code, object, options);
      callback(error, value, ...rest);
    });
}

function auditedStream(
  handler: (call: Stream) => void,
  path: string,
  options: CallAuditOptions,
): (call: Stream) => void {
  return (call) => {
    // How grpc-js is told the status of a stream's end.
    call.on("error", (error: Error & { readonly code?: unknown }) => {
      const { code } = error;
      if (typeof code === "number" && DENIALS.has(code)) record(call, path, code, undefined, options);
    });
    handler(call);
  };
}

function record(
  call: Pick<Call, "getPeer" | "getAuthContext">,
  path: string,
  code: number,
  object: string | undefined,
  { audit, identify, newRequestId }: CallAuditOptions,
): void {
  audit.write({
    requestId: newRequestId(),
    who: identify(call)?.spiffeId ?? "",
    from: call.getPeer().replace(/:\d+$/, ""),
    method: "gRPC",
    path,
    ...(object === undefined ? {} : { object }),
    outcome: code === OK ? "done" : "denied",
    status: GrpcStatus[code] ?? code,
  });
}

/** Whose certificate an answer holds; undefined when it holds none. */
function certificateIn(value: unknown): string | undefined {
  const { certChain } = (value ?? {}) as { readonly certChain?: unknown };
  const leaf: unknown = Array.isArray(certChain) ? certChain[0] : undefined;
  if (typeof leaf !== "string") return undefined;
  try {
    const { subjectAltName = "", serialNumber } = new X509Certificate(leaf);
    return `certificate/${subjectAltName.replace(/^URI:/, "")} ${serialNumber}`;
  } catch {
    return "certificate";
  }
}
