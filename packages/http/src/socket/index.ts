export * from "./byte-channel.js";
export * from "./flush-queue.js";
export type { GrpcCall, GrpcCallHandler, GrpcCallOptions, GrpcMethod } from "./grpc-call.js";
export * from "./grpc-client.js";
export { GrpcServer, type GrpcServerOptions } from "./grpc-server.js";
export type {
  GrpcCallInfo,
  GrpcPeer,
  GrpcServerCall,
  GrpcServerHandler,
  GrpcServerMethod,
} from "./grpc-server-call.js";
export * from "./grpc-server-method.js";
export * from "./http2-keep-alive.js";
export * from "./http2-transport.js";
export * from "./socket-writer.js";
export * from "./turn-clock.js";
