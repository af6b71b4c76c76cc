import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "./gen/envoy/service/discovery/v3/discovery_pb.js";
import { grpcServiceDefinition } from "./grpc.js";

/** A type and not an interface: it must fit an index signature. */
type Methods = {
  readonly streamSecrets: Method<"bidi_streaming">;
  readonly fetchSecrets: Method<"unary">;
};

interface Method<Kind extends string> {
  readonly methodKind: Kind;
  readonly input: typeof DiscoveryRequestSchema;
  readonly output: typeof DiscoveryResponseSchema;
}

const messages = { input: DiscoveryRequestSchema, output: DiscoveryResponseSchema };

/**
 * `envoy.service.secret.v3.SecretDiscoveryService`, state of the world. Declared by hand: of this service only the path
 * is new, its messages are ADS'.
 */
export const secretDiscoveryService = grpcServiceDefinition<Methods>({
  typeName: "envoy.service.secret.v3.SecretDiscoveryService",
  method: {
    streamSecrets: { name: "StreamSecrets", methodKind: "bidi_streaming", ...messages },
    fetchSecrets: { name: "FetchSecrets", methodKind: "unary", ...messages },
  },
});
