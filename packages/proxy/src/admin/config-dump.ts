import { fromBinary, toJson, type JsonObject, type JsonValue, type Registry } from "@bufbuild/protobuf";
import type { ResourceChange } from "@tulle/engine";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, loadJsonRegistry, ROUTE_TYPE } from "@tulle/xds";

const PREFIX = "type.googleapis.com/";

/** How each type stands in Envoy's dump: message, list and the wrapping of an entry. */
const SECTIONS: readonly {
  readonly typeUrl: string;
  readonly message: string;
  readonly list: string;
  readonly entry: (name: string, version: string, resource: JsonValue) => JsonObject;
}[] = [
  {
    typeUrl: CLUSTER_TYPE,
    message: "envoy.admin.v3.ClustersConfigDump",
    list: "dynamic_active_clusters",
    entry: (_name, version, cluster) => ({ version_info: version, cluster }),
  },
  {
    typeUrl: LISTENER_TYPE,
    message: "envoy.admin.v3.ListenersConfigDump",
    list: "dynamic_listeners",
    entry: (name, version, listener) => ({ name, active_state: { version_info: version, listener } }),
  },
  {
    typeUrl: ROUTE_TYPE,
    message: "envoy.admin.v3.RoutesConfigDump",
    list: "dynamic_route_configs",
    entry: (_name, version, route) => ({ version_info: version, route_config: route }),
  },
  {
    typeUrl: ENDPOINT_TYPE,
    message: "envoy.admin.v3.EndpointsConfigDump",
    list: "dynamic_endpoint_configs",
    entry: (_name, version, endpoints) => ({ version_info: version, endpoint_config: endpoints }),
  },
];

export interface ConfigDumpOptions {
  /** As Envoy: endpoints are left out unless asked for. */
  readonly includeEndpoints: boolean;
  /** Only this list, e.g. `dynamic_active_clusters`; "" = all. */
  readonly resource: string;
}

/** The configuration in force, in the form of Envoy's `/config_dump`. Holds no keys: Secrets are left out. */
export async function configDump(
  node: JsonObject,
  resources: Iterable<ResourceChange>,
  options: ConfigDumpOptions,
): Promise<JsonObject> {
  const registry = await loadJsonRegistry();
  const byType = new Map<string, ResourceChange[]>();
  for (const resource of resources) {
    const list = byType.get(resource.typeUrl);
    if (list === undefined) byType.set(resource.typeUrl, [resource]);
    else list.push(resource);
  }
  const configs: JsonObject[] = [];
  if (options.resource === "") {
    configs.push({ "@type": `${PREFIX}envoy.admin.v3.BootstrapConfigDump`, bootstrap: { node } });
  }
  for (const { typeUrl, message, list, entry } of SECTIONS) {
    if (
      options.resource === ""
        ? typeUrl === ENDPOINT_TYPE && !options.includeEndpoints
        : options.resource !== list
    )
      continue;
    const entries: JsonObject[] = [];
    for (const { name, version, bytes } of byType.get(typeUrl) ?? []) {
      if (bytes !== undefined) entries.push(entry(name, version, decode(registry, typeUrl, bytes)));
    }
    configs.push({ "@type": PREFIX + message, [list]: entries });
  }
  return { configs };
}

function decode(registry: Registry, typeUrl: string, bytes: Uint8Array): JsonValue {
  const schema = registry.getMessage(typeUrl.slice(PREFIX.length));
  if (schema === undefined) return { "@type": typeUrl };
  const value = toJson(schema, fromBinary(schema, bytes), { registry, useProtoFieldName: true });
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? { "@type": typeUrl, ...value }
    : value;
}
