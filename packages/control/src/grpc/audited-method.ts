import { GrpcStatus, grpcStatusName } from "@tulle/http";
import { derivedCall, type GrpcCallInfo, type GrpcServerMethod } from "@tulle/http/socket";

import type { AuditLog } from "../access/index.js";
import type { PeerIdentityOf } from "./peer-identity.js";

export interface CallAuditOptions {
  readonly audit: AuditLog;
  readonly identify: PeerIdentityOf;
  /** RFC 9562 UUIDs. */
  readonly newRequestId: () => string;
}

const DENIALS: ReadonlySet<number> = new Set([GrpcStatus.PERMISSION_DENIED, GrpcStatus.UNAUTHENTICATED]);

/** The same method; every call that it refuses for want of rights is written down. */
export function auditedMethod(method: GrpcServerMethod, options: CallAuditOptions): GrpcServerMethod {
  return {
    ...method,
    open: (call) =>
      method.open(
        derivedCall<Uint8Array>(call, {
          write: (message) => call.write(message),
          end(status, message) {
            if (status !== undefined && DENIALS.has(status)) auditCall(call, status, undefined, options);
            call.end(status, message);
          },
        }),
      ),
  };
}

/** Writes down how a call ended. `object`: what it made; undefined when nothing. */
export function auditCall(
  call: GrpcCallInfo,
  status: number,
  object: string | undefined,
  { audit, identify, newRequestId }: CallAuditOptions,
): void {
  audit.write({
    requestId: newRequestId(),
    who: identify(call)?.spiffeId ?? "",
    from: call.peer.address.replace(/:\d+$/, ""),
    method: "gRPC",
    path: call.path,
    ...(object === undefined ? {} : { object }),
    outcome: status === GrpcStatus.OK ? "done" : "denied",
    status: grpcStatusName(status),
  });
}
