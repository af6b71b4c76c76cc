import { readFileSync, writeFileSync } from "node:fs";
import { fromBinary, toJson, type DescMessage } from "@bufbuild/protobuf";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, loadJsonRegistry, ROUTE_TYPE } from "@tulle/xds";
import { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { expect, test } from "vitest";
import {
  CLIENT,
  GRPC_CLIENT,
  clustersOf,
  instance,
  mesh,
  plainInstance,
  routesOf,
  SETTINGS,
  type TestMesh,
} from "../testdata/mesh.js";
import type { ClientView } from "./contract.js";
import { translate } from "./translate.js";

// UPDATE_GOLDENS=1 writes what translation makes now; review the difference like code.
const UPDATE = process.env["UPDATE_GOLDENS"] === "1";

const SCHEMAS = new Map<string, DescMessage>([
  [LISTENER_TYPE, ListenerSchema],
  [ROUTE_TYPE, RouteConfigurationSchema],
  [CLUSTER_TYPE, ClusterSchema],
  [ENDPOINT_TYPE, ClusterLoadAssignmentSchema],
]);

function api(id: string, host: string, version: string) {
  return instance({
    id: `node/${id}`,
    service: "api-service",
    version,
    servicePort: 9080,
    address: { host, port: 8080 },
  });
}

const SHOP = [
  api("api-1", "10.1.0.1", "v1"),
  api("api-2", "10.1.0.2", "v1"),
  api("api-3", "10.1.0.3", "v2"),
  { ...api("api-4", "10.1.0.4", "v2"), health: "critical" as const },
];
const PLAIN = SHOP.map((one) => {
  const { meshAddress: _meshAddress, ...plain } = one;
  return { ...plain, protocol: "grpc" as const };
});

const ROUTED = [
  api("api-1", "10.1.0.1", "v1"),
  instance({
    id: "node/ratings",
    service: "ratings",
    servicePort: 9080,
    address: { host: "10.1.0.8", port: 80 },
  }),
  instance({
    id: "node/vault",
    service: "vault",
    namespace: "bank",
    servicePort: 9080,
    address: { host: "10.1.0.9", port: 80 },
  }),
];

const CONSUL = ["web", "web", "backup", "backoffice"].map((service, index) =>
  instance({
    id: `node/${service}-${index}`,
    service,
    ...(service === "web" && { version: `v${index + 1}`, tags: index === 1 ? ["canary"] : [] }),
    servicePort: 80,
    address: { host: `10.1.0.${index + 1}`, port: 8080 },
  }),
);

interface Case {
  readonly golden: string;
  readonly config: string;
  readonly view: ClientView;
  readonly at: (yaml: string) => TestMesh;
  readonly listeners: readonly string[];
  /** Clusters beside those that routes lead to. */
  readonly clusters?: readonly string[];
}

const INBOUND = [8080, 8081, 8082].map((appPort, index) => ({
  service: "api-service",
  namespace: "default",
  servicePort: 9080 + index,
  appPort,
}));

const CASES: readonly Case[] = [
  {
    golden: "canary.tulle",
    config: "canary",
    view: CLIENT,
    at: (yaml) => mesh(SHOP, yaml, { ...SETTINGS, accessLog: true }),
    listeners: ["api-service:9080"],
  },
  {
    golden: "canary.grpc",
    config: "canary",
    view: GRPC_CLIENT,
    at: (yaml) => mesh(PLAIN, yaml),
    listeners: ["api-service.default.svc.cluster.local:9080"],
  },
  {
    golden: "everything.tulle",
    config: "everything",
    view: CLIENT,
    at: (yaml) => mesh(SHOP, yaml),
    listeners: ["api-service.default"],
  },
  {
    golden: "everything.grpc",
    config: "everything",
    view: { ...GRPC_CLIENT, mtls: true },
    at: (yaml) => mesh(SHOP, yaml),
    listeners: ["api-service:9080"],
  },
  {
    golden: "gateway-api.tulle",
    config: "gateway-api",
    view: CLIENT,
    at: (yaml) => mesh(ROUTED, yaml),
    listeners: ["api-service:9080"],
  },
  {
    golden: "gateway-api.grpc",
    config: "gateway-api",
    view: { ...GRPC_CLIENT, mtls: true },
    at: (yaml) => mesh(ROUTED, yaml),
    listeners: ["api-service:9080"],
  },
  {
    golden: "kuma.tulle",
    config: "kuma",
    view: CLIENT,
    at: (yaml) => mesh([...ROUTED, ...SHOP.slice(1)], yaml),
    listeners: ["api-service:9080"],
  },
  {
    golden: "kuma.grpc",
    config: "kuma",
    view: { ...GRPC_CLIENT, mtls: true },
    at: (yaml) => mesh([...ROUTED, ...SHOP.slice(1)], yaml),
    listeners: ["api-service:9080"],
  },
  {
    golden: "detected.tulle",
    config: "detected",
    view: { ...CLIENT, inbound: INBOUND.slice(0, 1) },
    at: (yaml) =>
      mesh(
        SHOP.map((one) => ({ ...one, protocol: "auto" as const })),
        yaml,
      ),
    listeners: [
      "api-service:9080",
      "shop.internal:443",
      "shop.internal:3306",
      "shop.internal:9000",
      "virtualInbound",
    ],
    clusters: ["outbound|443||shop.internal"],
  },
  {
    golden: "external.tulle",
    config: "external",
    view: CLIENT,
    at: (yaml) => mesh([], yaml),
    listeners: ["payments.example.com:443", "vms.internal", "a.wild.example.com"],
  },
  {
    golden: "external.grpc",
    config: "external",
    view: GRPC_CLIENT,
    at: (yaml) => mesh([], yaml),
    listeners: ["payments.example.com:443", "vms.internal:80"],
  },
  {
    golden: "asking.tulle",
    config: "asking",
    view: { ...CLIENT, inbound: INBOUND.slice(0, 1) },
    at: (yaml) => mesh(SHOP, yaml),
    listeners: ["virtualInbound"],
  },
  {
    golden: "inbound.tulle",
    config: "inbound",
    view: { ...CLIENT, labels: { app: "api" }, inbound: INBOUND },
    at: (yaml) =>
      mesh(
        INBOUND.map(({ servicePort, appPort }) =>
          instance({
            id: `node/api-${servicePort}`,
            service: "api-service",
            servicePort,
            address: { host: "10.1.0.1", port: appPort },
          }),
        ),
        yaml,
      ),
    listeners: ["virtualInbound"],
    clusters: INBOUND.map(
      ({ servicePort }) => `inbound|${servicePort}||api-service.default.svc.cluster.local`,
    ),
  },
  {
    golden: "tls.tulle",
    config: "tls",
    view: { ...CLIENT, inbound: INBOUND.slice(0, 1) },
    at: (yaml) => mesh(SHOP, yaml),
    listeners: ["api-service:9080", "payments.example.com:443", "virtualInbound"],
  },
  {
    golden: "tls.grpc",
    config: "tls",
    view: { ...GRPC_CLIENT, mtls: true },
    at: (yaml) =>
      mesh(
        SHOP,
        `${yaml}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec: {host: api-service, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
`,
      ),
    listeners: ["api-service:9080"],
  },
  {
    golden: "consul.tulle",
    config: "consul",
    view: CLIENT,
    at: (yaml) => mesh(CONSUL, yaml),
    listeners: ["web:80"],
  },
  {
    golden: "consul.grpc",
    config: "consul",
    view: { ...GRPC_CLIENT, mtls: true },
    at: (yaml) => mesh(CONSUL, yaml),
    listeners: ["web:80"],
  },
  {
    golden: "defaults.tulle",
    config: "empty",
    view: { ...CLIENT, namespace: "other" },
    at: () =>
      mesh([
        api("api-1", "10.1.0.1", "v1"),
        plainInstance({
          id: "node/api-2",
          service: "api-service",
          servicePort: 9080,
          address: { host: "10.1.0.2", port: 8080 },
        }),
      ]),
    listeners: ["api-service.default"],
  },
];

test.each(CASES)(
  "translate makes the reviewed resources of $golden",
  async ({ golden, config, view, at, ...names }) => {
    const yaml = readFileSync(new URL(`../testdata/${config}.yaml`, import.meta.url), "utf8");
    const text = `${JSON.stringify(await transcript(at(yaml), view, names.listeners, names.clusters ?? []), null, 2)}\n`;
    const file = new URL(`../testdata/${golden}.golden.json`, import.meta.url);
    if (UPDATE) writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, "utf8"));
  },
);

/** Everything that a client asks for that starts with some listeners. */
async function transcript(
  at: TestMesh,
  view: ClientView,
  listeners: readonly string[],
  clusters: readonly string[],
): Promise<unknown[]> {
  const registry = await loadJsonRegistry();
  const printed: unknown[] = [];
  const print = (typeUrl: string, name: string): string => {
    const { resource, ...rest } = translate(at.reader, view, typeUrl, name);
    const schema = SCHEMAS.get(typeUrl);
    const json =
      resource === undefined || schema === undefined
        ? null
        : toJson(schema, fromBinary(schema, resource.bytes), { registry });
    printed.push({ type: typeUrl.slice(typeUrl.lastIndexOf(".") + 1), name, resource: json, ...rest });
    return JSON.stringify(json);
  };
  const routes = new Set<string>();
  for (const name of listeners) {
    const found = /"routeConfigName":"([^"]+)"/.exec(print(LISTENER_TYPE, name))?.[1];
    if (found !== undefined) routes.add(found);
  }
  const wanted = new Set(clusters);
  for (const name of routes) {
    print(ROUTE_TYPE, name);
    for (const cluster of clustersOf(routesOf(at, view, name))) wanted.add(cluster);
  }
  for (const name of wanted) {
    if (print(CLUSTER_TYPE, name).includes('"edsClusterConfig"')) print(ENDPOINT_TYPE, name);
  }
  return printed;
}
