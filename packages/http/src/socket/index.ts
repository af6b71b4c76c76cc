export * from "./byte-channel.js";
export * from "./flush-queue.js";
export type { GrpcCall, GrpcCallHandler, GrpcCallOptions, GrpcMethod } from "./grpc-call.js";
export * from "./grpc-client.js";
export * from "./http2-keep-alive.js";
export * from "./http2-transport.js";
export * from "./socket-writer.js";
export * from "./turn-clock.js";
