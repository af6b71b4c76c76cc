import {
  apiVersionOf,
  CONSUL_GROUP,
  objectKey,
  parseObjects,
  type CatalogService,
  type MeshObject,
} from "@tulle/api";
import type { MeshReader } from "@tulle/translate";

const GROUPS: Readonly<Record<string, string>> = {
  AuthorizationPolicy: "security.istio.io",
  PeerAuthentication: "security.istio.io",
  HealthCheck: "tulle.dev",
  ServiceResolver: CONSUL_GROUP,
  ServiceRouter: CONSUL_GROUP,
};

/** An object as the store has it; `spec` is YAML. */
export function objectOf(
  kind: string,
  name: string,
  spec: string,
  metadata: Partial<MeshObject["metadata"]> = {},
): MeshObject {
  const group = GROUPS[kind] ?? "networking.istio.io";
  const version = group === CONSUL_GROUP ? "v1alpha1" : "v1";
  const text = `apiVersion: ${group}/${version}\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
  const { objects, problems } = parseObjects(text, "test.yaml");
  const [source] = objects;
  if (source === undefined) throw new Error(JSON.stringify(problems));
  const checked = source.kind.check(source.object);
  if (!checked.ok) throw new Error(JSON.stringify(checked.violations));
  return {
    apiVersion: apiVersionOf(group, source.kind.storageVersion),
    kind,
    metadata: {
      name,
      namespace: "default",
      uid: name,
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...metadata,
    },
    spec: checked.spec,
  };
}

/** A mesh of these objects and one service, `reviews` at port 80. */
export function readerOf(objects: readonly MeshObject[]): MeshReader {
  const reviews: CatalogService = {
    name: "reviews",
    namespace: "default",
    ports: [{ number: 80, name: "http", protocol: "http" }],
    portless: false,
    instances: [],
  };
  return {
    settings: { trustDomain: "cluster.local", domainSuffix: "cluster.local", rootNamespace: "istio-system" },
    catalog: {
      service: (namespace, name) => (namespace === "default" && name === "reviews" ? reviews : undefined),
      services: () => [reviews],
    },
    objects: (group, kind) =>
      objects.filter((object) => object.kind === kind && objectKey(object).group === group),
  };
}
