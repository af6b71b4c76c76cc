import { createRequire } from "node:module";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, type EncodedResource } from "@tulle/xds";

interface ResourceType {
  decode(context: object, any: { type_url: string; value: Uint8Array }): { name: string; error?: string };
}

const require = createRequire(import.meta.url);
const BUILD = "@grpc/grpc-js-xds/build/src";

// Its filters and balancers are known only after this.
(require("@grpc/grpc-js-xds") as { register(): void }).register();

function resourceType(module: string, name: string): ResourceType {
  const loaded = require(`${BUILD}/xds-resource-type/${module}`) as Record<string, { get(): ResourceType }>;
  const found = loaded[name];
  if (found === undefined) throw new Error(`${module} has no ${name}`);
  return found.get();
}

const TYPES = new Map([
  [LISTENER_TYPE, resourceType("listener-resource-type", "ListenerResourceType")],
  [ROUTE_TYPE, resourceType("route-config-resource-type", "RouteConfigurationResourceType")],
  [CLUSTER_TYPE, resourceType("cluster-resource-type", "ClusterResourceType")],
  [ENDPOINT_TYPE, resourceType("endpoint-resource-type", "EndpointResourceType")],
]);

/** What a client would read of its bootstrap file. */
const CONTEXT = { server: {}, bootstrap: { certificateProviders: { default: {} } } };

/** Why `@grpc/grpc-js-xds` would refuse a resource, by its own code; undefined when it takes it. */
export function grpcRefusal(resource: EncodedResource): string | undefined {
  const type = TYPES.get(resource.typeUrl);
  if (type === undefined) return `unknown type ${resource.typeUrl}`;
  return type.decode(CONTEXT, { type_url: resource.typeUrl, value: Buffer.from(resource.bytes) }).error;
}
