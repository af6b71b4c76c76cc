import * as grpc from "@grpc/grpc-js";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { grpcServiceDefinition } from "@tulle/xds";
import { NodeSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  Agent,
  FromProxySchema,
  type FromProxy,
  type HelloSchema,
  type Query,
  type ToProxy,
} from "@tulle/xds/gen/tulle/v1/agent_pb.js";

/** A proxy's end of an agent stream, written by hand. */
export class TestAgent {
  readonly queries: Query[] = [];
  readonly #client: grpc.Client;
  readonly #call: grpc.ClientDuplexStream<FromProxy, ToProxy>;
  /** How the call ended. */
  ended: grpc.StatusObject | undefined;

  /** `account`: whose certificate it shows; "" = none. */
  constructor(port: number, account: string) {
    const method = grpcServiceDefinition(Agent).connect;
    const metadata = new grpc.Metadata();
    if (account !== "") metadata.set("x-certificate", account);
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    this.#call = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
    );
    this.#call.on("data", ({ query }: ToProxy) => {
      if (query !== undefined) this.queries.push(query);
    });
    this.#call.on("status", (status: grpc.StatusObject) => {
      this.ended = status;
    });
    this.#call.on("error", () => undefined);
  }

  /** Says hello as instance `name` of a service. */
  hello(name: string, service: string, more: MessageInitShape<typeof HelloSchema> = {}): void {
    this.send({
      case: "hello",
      value: {
        node: create(NodeSchema, {
          id: `sidecar~127.0.0.1~${name}.default~default.svc.cluster.local`,
          userAgentName: "tulle",
          metadata: { NAMESPACE: "default", SERVICE_ACCOUNT: service },
        }),
        service,
        version: "9.9.9",
        inboundAddress: `10.0.0.${name.length}:15006`,
        queries: ["explain", "why", "load", "log_level", "clusters"],
        ...more,
      },
    });
  }

  answer(id: number, value: unknown): void {
    this.send({ case: "answer", value: { id, outcome: { case: "json", value: JSON.stringify(value) } } });
  }

  send(message: NonNullable<MessageInitShape<typeof FromProxySchema>["message"]>): void {
    this.#call.write(create(FromProxySchema, { message }));
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
    this.#client.close();
  }
}
