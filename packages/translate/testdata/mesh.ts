import {
  apiVersionOf,
  parseApiVersion,
  parseObjects,
  type CatalogService,
  type Instance,
  type MeshObject,
} from "@tulle/api";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { fromBinary } from "@bufbuild/protobuf";
import { ClusterSchema, type Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  ClusterLoadAssignmentSchema,
  type ClusterLoadAssignment,
} from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import {
  RouteConfigurationSchema,
  type RouteConfiguration,
} from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  TcpProxySchema,
  type TcpProxy,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import {
  HttpConnectionManagerSchema,
  type HttpConnectionManager,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { ClientView, MeshReader, MeshSettings, Translated } from "../src/contract.js";
import { translate } from "../src/translate.js";

/** What a test wants to say of an instance; the rest is ordinary. */
export type InstanceInit = Partial<Instance> & { readonly service: string; readonly version?: string };

/** A mesh held in memory: registered services and the objects of some YAML. */
export interface TestMesh {
  readonly reader: MeshReader;
}

export const SETTINGS: MeshSettings = {
  trustDomain: "cluster.local",
  domainSuffix: "cluster.local",
  rootNamespace: "istio-system",
  accessLog: false,
};

export const CLIENT: ClientView = {
  dialect: "tulle",
  namespace: "default",
  mtls: true,
  labels: {},
  inbound: [],
};
export const GRPC_CLIENT: ClientView = { ...CLIENT, dialect: "grpc", mtls: false };

let counter = 0;

/** An instance in the mesh: passing, HTTP, with a sidecar beside it. */
export function instance(init: InstanceInit): Instance {
  const number = ++counter;
  const { version, ...given } = init;
  const host = given.address?.host ?? `10.0.${number >> 8}.${number & 255}`;
  return {
    id: `node/${init.service}-${String(number).padStart(4, "0")}`,
    namespace: "default",
    address: { host, port: 8080 },
    meshAddress: { host, port: 15_006 },
    protocol: "http",
    labels: version === undefined ? {} : { version },
    serviceAccount: init.service,
    weight: 1,
    health: "passing",
    ...given,
  };
}

/** The same, outside of the mesh. */
export function plainInstance(init: InstanceInit): Instance {
  const { meshAddress: _meshAddress, ...plain } = instance(init);
  return plain;
}

export function mesh(instances: readonly Instance[], yaml = "", settings: MeshSettings = SETTINGS): TestMesh {
  const services = new Map<string, CatalogService>();
  const byName = new Map<string, Instance[]>();
  for (const one of instances) {
    const name = `${one.namespace}/${one.service.toLowerCase()}`;
    byName.set(name, [...(byName.get(name) ?? []), one]);
  }
  for (const [key, members] of byName) services.set(key, serviceOf(members));
  const objects = objectsOf(yaml);
  return {
    reader: {
      settings,
      catalog: {
        service: (namespace, name) => services.get(`${namespace}/${name.toLowerCase()}`),
        services: () => services.values(),
      },
      objects: (group, kind) =>
        objects.filter(
          (object) => object.kind === kind && (parseApiVersion(object.apiVersion)?.group ?? "") === group,
        ),
    },
  };
}

function serviceOf(instances: readonly Instance[]): CatalogService {
  const [first] = instances;
  if (first === undefined) throw new Error("a service has instances");
  const portless = instances.every(({ servicePort }) => servicePort === undefined);
  const numbers = new Set(instances.map(({ servicePort, address }) => servicePort ?? address.port));
  const ports = [...numbers]
    .sort((a, b) => a - b)
    .map((number) => ({ number, name: `${first.protocol}-${number}`, protocol: first.protocol }));
  return {
    name: first.service,
    namespace: first.namespace,
    ports: portless ? ports.slice(0, 1) : ports,
    portless,
    instances: [...instances].sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
}

/** The objects of a YAML text as the store holds them: checked, in storage version, ordered by namespace and name. */
export function objectsOf(yaml: string): MeshObject[] {
  const { objects, problems } = parseObjects(yaml, "test.yaml");
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return objects
    .map(({ object, kind }) => {
      const checked = kind.check(object);
      if (!checked.ok) throw new Error(JSON.stringify(checked.violations));
      const metadata = object["metadata"] as { name: string; namespace?: string; creationTimestamp?: string };
      return {
        apiVersion: apiVersionOf(kind.group, kind.storageVersion),
        kind: kind.kind,
        metadata: {
          uid: "",
          resourceVersion: "1",
          generation: 1,
          creationTimestamp: "2026-01-01T00:00:00Z",
          ...metadata,
          namespace: metadata.namespace ?? "default",
        },
        spec: checked.spec,
        ...(checked.extra !== undefined && { extra: checked.extra }),
      };
    })
    .sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function key({ metadata }: MeshObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Translates and expects that the name means something. */
export function made({ reader }: TestMesh, view: ClientView, typeUrl: string, name: string): Translated {
  const result = translate(reader, view, typeUrl, name);
  if (result.resource === undefined) throw new Error(`${name} means nothing`);
  return result;
}

export function listener(at: TestMesh, view: ClientView, name: string): Listener {
  return fromBinary(ListenerSchema, made(at, view, LISTENER_TYPE, name).resource.bytes);
}

/** The connection manager of an API listener. */
export function apiManager(at: TestMesh, view: ClientView, name: string): HttpConnectionManager {
  const any = listener(at, view, name).apiListener?.apiListener;
  const manager = any && anyUnpack(any, HttpConnectionManagerSchema);
  if (manager === undefined) throw new Error(`${name} is not an API listener`);
  return manager;
}

/** The tcp_proxy of a listener without address; undefined for an API listener. */
export function tcpProxy(at: TestMesh, view: ClientView, name: string): TcpProxy | undefined {
  const { filterChains, address } = listener(at, view, name);
  const config = filterChains[0]?.filters[0]?.configType;
  if (address !== undefined || filterChains.length !== 1 || config?.case !== "typedConfig") return undefined;
  return anyUnpack(config.value, TcpProxySchema);
}

/** Names of the clusters that a tcp_proxy leads to. */
export function tcpClustersOf({ clusterSpecifier }: TcpProxy): string[] {
  if (clusterSpecifier.case === "cluster") return [clusterSpecifier.value];
  return clusterSpecifier.case === "weightedClusters"
    ? clusterSpecifier.value.clusters.map(({ name }) => name)
    : [];
}

/** Names of the routes and the clusters that a listener leads to, of all its chains. */
export function targetsOf({ apiListener, filterChains, defaultFilterChain }: Listener): {
  readonly routes: readonly string[];
  readonly clusters: readonly string[];
} {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  const configs = chains.map(({ filters }) => {
    const config = filters[0]?.configType;
    return config?.case === "typedConfig" ? config.value : undefined;
  });
  const routes: string[] = [];
  const clusters: string[] = [];
  for (const any of [apiListener?.apiListener, ...configs]) {
    const routing = any && anyUnpack(any, HttpConnectionManagerSchema)?.routeSpecifier;
    if (routing?.case === "rds") routes.push(routing.value.routeConfigName);
    const proxy = any && anyUnpack(any, TcpProxySchema);
    if (proxy !== undefined) clusters.push(...tcpClustersOf(proxy));
  }
  return { routes, clusters };
}

export function routeConfig(at: TestMesh, view: ClientView, name: string): RouteConfiguration {
  return fromBinary(RouteConfigurationSchema, made(at, view, ROUTE_TYPE, name).resource.bytes);
}

/** The routes of a configuration's only virtual host. */
export function routesOf(at: TestMesh, view: ClientView, name: string): Route[] {
  return routeConfig(at, view, name).virtualHosts.flatMap(({ routes }) => routes);
}

export function cluster(at: TestMesh, view: ClientView, name: string): Cluster {
  return fromBinary(ClusterSchema, made(at, view, CLUSTER_TYPE, name).resource.bytes);
}

export function assignment(at: TestMesh, view: ClientView, name: string): ClusterLoadAssignment {
  return fromBinary(ClusterLoadAssignmentSchema, made(at, view, ENDPOINT_TYPE, name).resource.bytes);
}

/** Addresses of an assignment as `host:port`. */
export function addresses(at: TestMesh, view: ClientView, name: string): string[] {
  return assignment(at, view, name).endpoints.flatMap(({ lbEndpoints }) =>
    lbEndpoints.map(({ hostIdentifier }) => {
      const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      if (address?.case === "pipe") return address.value.path;
      if (address?.case !== "socketAddress") return "?";
      return `${address.value.address}:${String(address.value.portSpecifier.value)}`;
    }),
  );
}

/** Names of the clusters that routes lead to, mirrors included. */
export function clustersOf(routes: readonly Route[]): string[] {
  const names = routes.flatMap(({ action }) => {
    if (action.case !== "route") return [];
    const { clusterSpecifier, requestMirrorPolicies } = action.value;
    const mirrors = requestMirrorPolicies.map((policy) => policy.cluster);
    if (clusterSpecifier.case === "cluster") return [clusterSpecifier.value, ...mirrors];
    if (clusterSpecifier.case !== "weightedClusters") return mirrors;
    return [...clusterSpecifier.value.clusters.map(({ name }) => name), ...mirrors];
  });
  return [...new Set(names)];
}
