import { MeshError } from "@tulle/base";

import { GrpcStatus } from "../grpc.js";
import type {
  GrpcCallInfo,
  GrpcServerCall,
  GrpcServerHandler,
  GrpcServerMethod,
} from "./grpc-server-call.js";

/** One method's wire form. `xds`' service definitions have this shape. */
export interface GrpcServerCodec<Request, Response> {
  /** `/<package>.<Service>/<Method>` */
  readonly path: string;
  /** Gets memory of its own. What it throws ends the call with INTERNAL. */
  readonly requestDeserialize: (bytes: Uint8Array) => Request;
  readonly responseSerialize: (response: Response) => Uint8Array;
}

/** What a failure ends a call with. */
export interface GrpcFailure {
  /** One of `GrpcStatus`, not OK. */
  readonly status: number;
  readonly message: string;
}

/** A method whose calls are streams, in one direction or both. */
export function streamingMethod<Request, Response>(
  codec: GrpcServerCodec<Request, Response>,
  open: (call: GrpcServerCall<Response>) => GrpcServerHandler<Request> | undefined,
): GrpcServerMethod {
  return {
    path: codec.path,
    open: (raw) => {
      const handler = open(
        derivedCall(raw, { write: (message: Response) => raw.write(codec.responseSerialize(message)) }),
      );
      if (handler === undefined) return undefined;
      return {
        onMessage(bytes) {
          const message = decoded(raw, codec, bytes);
          if (message === undefined) handler.onGone();
          else handler.onMessage(message);
        },
        onEnd: () => handler.onEnd(),
        onTaken: () => handler.onTaken(),
        onGone: () => handler.onGone(),
      };
    },
  };
}

/** Requests of unary calls: one message with its prefix. A certificate's is some KiB. */
const MAX_UNARY_REQUEST_BYTES = 64 * 1024;

/** A method that answers one message with one, of 64 KiB at most. `statusOf`: what a failure of `answer` ends the call with. */
export function unaryMethod<Request, Response>(
  codec: GrpcServerCodec<Request, Response>,
  answer: (request: Request, call: GrpcCallInfo) => Promise<Response>,
  statusOf: (thrown: unknown) => GrpcFailure,
): GrpcServerMethod {
  return {
    path: codec.path,
    maxRequestBytes: MAX_UNARY_REQUEST_BYTES,
    open: (raw) => {
      let request: Buffer | undefined;
      return {
        onMessage(bytes) {
          if (request === undefined) request = bytes;
          else raw.end(GrpcStatus.INVALID_ARGUMENT, "the call takes one message");
        },
        onEnd() {
          if (request === undefined) {
            raw.end(GrpcStatus.INVALID_ARGUMENT, "the call has no message");
            return;
          }
          const message = decoded(raw, codec, request);
          if (message === undefined) return;
          const failed = (thrown: unknown): void => {
            const { status, message: text } = statusOf(thrown);
            raw.end(status, text);
          };
          Promise.resolve()
            .then(() => answer(message, raw))
            .then((response) => {
              raw.write(codec.responseSerialize(response));
              raw.end();
            })
            .catch(failed);
        },
        onTaken: () => undefined,
        onGone: () => undefined,
      };
    },
  };
}

/** A call that does otherwise in what is given: `raw` with other messages, or seen by somebody more. */
export function derivedCall<Response>(
  raw: GrpcServerCall<Uint8Array>,
  own: Pick<GrpcServerCall<Response>, "write"> & Partial<Pick<GrpcServerCall<Response>, "end">>,
): GrpcServerCall<Response> {
  return {
    path: raw.path,
    metadata: raw.metadata,
    peer: raw.peer,
    get waitingBytes() {
      return raw.waitingBytes;
    },
    end: (status, message) => raw.end(status, message),
    cut: () => raw.cut(),
    pause: () => raw.pause(),
    resume: () => raw.resume(),
    ...own,
  };
}

/** Undefined when it cannot be decoded: the call is ended then. */
function decoded<Request, Response>(
  raw: GrpcServerCall<Uint8Array>,
  { requestDeserialize }: GrpcServerCodec<Request, Response>,
  bytes: Buffer,
): Request | undefined {
  try {
    return requestDeserialize(bytes);
  } catch (thrown) {
    raw.end(GrpcStatus.INTERNAL, `the message cannot be decoded: ${MeshError.from(thrown).message}`);
    return undefined;
  }
}
