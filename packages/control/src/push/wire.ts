import { create, toBinary } from "@bufbuild/protobuf";
import {
  DeltaSubscription,
  packBytes,
  SotwSubscription,
  type Answer,
  type EncodedResource,
  type Subscription,
  type SubscriptionChange,
  type SubscriptionOptions,
} from "@tulle/xds";
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

/** One resource type on one stream in its protocol variant. */
export interface TypeProtocol<Request> {
  readonly subscription: Subscription;
  /** Throws what the subscription's `request` throws. */
  apply(request: Request): SubscriptionChange;
  /** The response message, encoded. */
  encode(answer: Answer): Uint8Array;
}

/** A variant of the xDS transport protocol: how requests are read and responses are written. */
export type WireVariant<Request> = (options: SubscriptionOptions) => TypeProtocol<Request>;

/** What both variants' requests have in common. */
export type AnyDiscoveryRequest = Pick<DiscoveryRequest, "typeUrl" | "node">;

/** State of the world. */
export const sotwWire: WireVariant<DiscoveryRequest> = (options) => {
  const subscription = new SotwSubscription(options);
  return {
    subscription,
    apply: (request) =>
      subscription.request({
        resourceNames: request.resourceNames,
        responseNonce: request.responseNonce,
        error: request.errorDetail?.message,
      }),
    encode: ({ nonce, version, resources }) =>
      concat([
        ...resources.map(sotwField),
        toBinary(
          DiscoveryResponseSchema,
          create(DiscoveryResponseSchema, { typeUrl: options.typeUrl, nonce, versionInfo: version }),
        ),
      ]),
  };
};

/** Incremental. */
export const deltaWire: WireVariant<DeltaDiscoveryRequest> = (options) => {
  const subscription = new DeltaSubscription(options);
  return {
    subscription,
    apply: (request) =>
      subscription.request({
        subscribe: request.resourceNamesSubscribe,
        unsubscribe: request.resourceNamesUnsubscribe,
        initialVersions: Object.entries(request.initialResourceVersions),
        responseNonce: request.responseNonce,
        error: request.errorDetail?.message,
      }),
    encode: ({ nonce, resources, removed }) =>
      concat([
        ...resources.map(deltaField),
        toBinary(
          DeltaDiscoveryResponseSchema,
          create(DeltaDiscoveryResponseSchema, {
            typeUrl: options.typeUrl,
            nonce,
            removedResources: [...removed],
          }),
        ),
      ]),
  };
};

// A protobuf message may be written in pieces, in any order: the pieces' concatenation is the message. So the field
// that carries a resource is encoded once and shared by the responses to all clients; only the rest is made for each.
const sotwFields = new WeakMap<EncodedResource, Uint8Array>();
const deltaFields = new WeakMap<EncodedResource, Uint8Array>();

function sotwField(resource: EncodedResource): Uint8Array {
  return cached(sotwFields, resource, () =>
    toBinary(
      DiscoveryResponseSchema,
      create(DiscoveryResponseSchema, { resources: [packBytes(resource.typeUrl, resource.bytes)] }),
    ),
  );
}

function deltaField(resource: EncodedResource): Uint8Array {
  const { name, version, typeUrl, bytes } = resource;
  return cached(deltaFields, resource, () =>
    toBinary(
      DeltaDiscoveryResponseSchema,
      create(DeltaDiscoveryResponseSchema, {
        resources: [{ name, version, resource: packBytes(typeUrl, bytes) }],
      }),
    ),
  );
}

function cached(
  fields: WeakMap<EncodedResource, Uint8Array>,
  resource: EncodedResource,
  encode: () => Uint8Array,
): Uint8Array {
  let field = fields.get(resource);
  if (field === undefined) {
    field = encode();
    fields.set(resource, field);
  }
  return field;
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(pieces);
}
