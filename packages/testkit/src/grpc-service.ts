import { fromBinary, toBinary, type DescMethodUnary, type MessageShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";

/** A gRPC server of others' (grpc-js) with one unary method. */
export interface GrpcService<Method extends DescMethodUnary> {
  readonly port: number;
  /** What it was asked, oldest first. */
  readonly asked: MessageShape<Method["input"]>[];
  /** Fields of each call. */
  readonly metadata: grpc.Metadata[];
  close(): void;
}

/** What it answers: a message, any bytes in place of one, or an error (`grpc.StatusBuilder` and the like). */
export type GrpcAnswer<Method extends DescMethodUnary> =
  | MessageShape<Method["output"]>
  | Uint8Array
  | Partial<grpc.StatusObject>;

/** Serves `method` at `address`; port 0 = a free one. `answer` may take its time. */
export async function serveGrpc<Method extends DescMethodUnary>(
  method: Method,
  answer: (request: MessageShape<Method["input"]>) => GrpcAnswer<Method> | Promise<GrpcAnswer<Method>>,
  address = "127.0.0.1:0",
): Promise<GrpcService<Method>> {
  const asked: MessageShape<Method["input"]>[] = [];
  const metadata: grpc.Metadata[] = [];
  const server = new grpc.Server();
  server.addService(
    {
      call: {
        path: `/${method.parent.typeName}/${method.name}`,
        requestStream: false,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
        requestSerialize: (message: MessageShape<Method["input"]>) =>
          Buffer.from(toBinary(method.input, message)),
        responseDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (bytes: Buffer) => bytes,
      },
    },
    {
      call: (
        call: grpc.ServerUnaryCall<MessageShape<Method["input"]>, Buffer>,
        done: grpc.sendUnaryData<Buffer>,
      ) => {
        asked.push(call.request);
        metadata.push(call.metadata);
        Promise.resolve(answer(call.request)).then(
          (given) => {
            if (given instanceof Uint8Array) done(null, Buffer.from(given));
            else if ("$typeName" in given)
              done(null, Buffer.from(toBinary(method.output, given as MessageShape<Method["output"]>)));
            else done({ code: grpc.status.UNKNOWN, ...given } as grpc.ServiceError);
          },
          (thrown: unknown) =>
            done({ code: grpc.status.INTERNAL, details: String(thrown) } as grpc.ServiceError),
        );
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { port, asked, metadata, close: () => server.forceShutdown() };
}
