import { connect } from "node:net";

import { systemClock } from "@tulle/base";
import { eventually } from "@tulle/testkit";

import type { GrpcCall, GrpcCallOptions, GrpcMethod } from "../grpc-call.js";
import { GrpcClient, type GrpcClientOptions } from "../grpc-client.js";

/** A method whose messages are text; "\0" cannot be decoded. */
export function textMethod(name: string): GrpcMethod<string, string> {
  return {
    path: `/test.Text/${name}`,
    requestSerialize: (text) => Buffer.from(text),
    responseDeserialize: (bytes) => {
      if (bytes[0] === 0) throw new Error("a zero");
      return Buffer.from(bytes).toString();
    },
  };
}

/** A plaintext client of `port` on loopback. */
export function connectTo(port: number, options: Partial<GrpcClientOptions> = {}): GrpcClient {
  return new GrpcClient({
    socket: connect(port, "127.0.0.1"),
    scheme: "http",
    authority: "test",
    clock: systemClock,
    ...options,
  });
}

/** A call with all that happened to it. */
export class RecordedCall {
  readonly call: GrpcCall<string>;
  readonly messages: string[] = [];
  readonly ends: [status: number, message: string][] = [];
  writable = 0;

  constructor(client: GrpcClient, name: string, options?: GrpcCallOptions) {
    this.call = client.call(
      textMethod(name),
      {
        onMessage: (message) => this.messages.push(message),
        onWritable: () => this.writable++,
        onEnd: (status, message) => this.ends.push([status, message]),
      },
      options,
    );
  }

  /** How the call ended. */
  end(): Promise<[status: number, message: string]> {
    return eventually(() => this.ends[0]);
  }
}
