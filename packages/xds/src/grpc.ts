import {
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";

/**
 * A gRPC library's Buffer. Written `any` because this package compiles without Node.js' types, while `@grpc/grpc-js`
 * asks for its Buffer class by name. What is returned is always a real one.
 */
// eslint-disable-next-line typescript/no-explicit-any
type HostBuffer = any;

declare const Buffer: {
  from(buffer: ArrayBufferLike, byteOffset: number, length: number): HostBuffer;
};

/** One method, for clients and servers alike; `@grpc/grpc-js` takes it as well. */
export interface GrpcMethodDefinition<Request, Response> {
  /** `/<package>.<Service>/<Method>` */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** The name of the `.proto` file, `CreateCertificate`; implementations may use it or the key. */
  readonly originalName: string;
  /** Takes a message, or bytes that are already encoded, which are sent as they are. */
  readonly requestSerialize: (value: Request | Uint8Array) => HostBuffer;
  readonly requestDeserialize: (bytes: Uint8Array) => Request;
  /** Takes a message, or bytes that are already encoded, which are sent as they are. */
  readonly responseSerialize: (value: Response | Uint8Array) => HostBuffer;
  readonly responseDeserialize: (bytes: Uint8Array) => Response;
}

/** Methods by their name in lower camel case: `createCertificate`. */
export type GrpcServiceDefinition<Methods extends GenServiceMethods> = {
  readonly [Name in keyof Methods]: GrpcMethodDefinition<
    MessageShape<Methods[Name]["input"]>,
    MessageShape<Methods[Name]["output"]>
  >;
};

/** Methods whose messages stay encoded on both sides. */
export type RawGrpcServiceDefinition<Methods extends GenServiceMethods> = {
  readonly [Name in keyof Methods]: GrpcMethodDefinition<Uint8Array, Uint8Array>;
};

/** What a service is described by where only methods matter, so that services without generated code fit, too. */
export interface ServiceShape<Methods extends GenServiceMethods> {
  readonly typeName: string;
  readonly method: Readonly<
    Record<keyof Methods & string, Pick<DescMethod, "name" | "methodKind" | "input" | "output">>
  >;
}

/**
 * A protobuf-es service as a `@grpc/grpc-js` service definition: for `Server.addService` and, with
 * `makeClientConstructor` or `Client.make…Request`, for clients. A message that cannot be decoded makes grpc-js end
 * the call; messages nested deeper than 100 levels cannot be decoded.
 */
export function grpcServiceDefinition<Methods extends GenServiceMethods>(
  service: GenService<Methods> | ServiceShape<Methods>,
): GrpcServiceDefinition<Methods> {
  return define(service, codec) as GrpcServiceDefinition<Methods>;
}

/** As {@link grpcServiceDefinition}, without encoding or decoding: for relays. Received bytes are borrowed from grpc-js. */
export function rawGrpcServiceDefinition<Methods extends GenServiceMethods>(
  service: GenService<Methods> | ServiceShape<Methods>,
): RawGrpcServiceDefinition<Methods> {
  return define(service, () => rawCodec) as RawGrpcServiceDefinition<Methods>;
}

interface Codec {
  readonly serialize: (value: unknown) => HostBuffer;
  readonly deserialize: (bytes: Uint8Array) => unknown;
}

function define<Methods extends GenServiceMethods>(
  service: GenService<Methods> | ServiceShape<Methods>,
  codecOf: (message: DescMessage) => Codec,
): unknown {
  const methods: [string, GrpcMethodDefinition<unknown, unknown>][] = [];
  for (const [key, method] of Object.entries<Pick<DescMethod, "name" | "methodKind" | "input" | "output">>(
    service.method,
  )) {
    const input = codecOf(method.input);
    const output = codecOf(method.output);
    methods.push([
      key,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
        originalName: method.name,
        requestSerialize: input.serialize,
        requestDeserialize: input.deserialize,
        responseSerialize: output.serialize,
        responseDeserialize: output.deserialize,
      },
    ]);
  }
  return Object.fromEntries(methods);
}

function codec(message: DescMessage): Codec {
  return {
    serialize: (value) =>
      hostBuffer(value instanceof Uint8Array ? value : toBinary(message, value as MessageShape<DescMessage>)),
    deserialize: (bytes) => fromBinary(message, bytes),
  };
}

const rawCodec: Codec = {
  serialize: (value) => hostBuffer(value as Uint8Array),
  deserialize: (bytes) => bytes,
};

/** The same memory as Node.js' own kind of byte array: grpc-js calls methods that only that one has. */
function hostBuffer(bytes: Uint8Array): HostBuffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
