import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { toBinary } from "@bufbuild/protobuf";
import { silentLogger, systemClock } from "@tulle/base";
import { createSnapshotSource, createLoadTable } from "@tulle/engine";
import type { GrpcClient } from "@tulle/http/socket";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryRequest,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";
import { eventually } from "@tulle/testkit";

import { MetricsRegistry } from "../../packages/proxy/src/telemetry/metrics.js";
import { AdsClient } from "../../packages/proxy/src/xds/ads-client.js";
import { call } from "../support/http.js";
import { Mesh } from "../support/mesh.js";

/** Files of a sidecar's state directory that outlive it. */
const STATE = ["format.json", "identity.json", "configuration.json", "control-plane.json"];

const OBJECTS = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {prefix: /v1}}]
    route: [{destination: {host: reviews, subset: v1}}]
    timeout: 3s
  - route: [{destination: {host: reviews}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews}
spec:
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
`;

/**
 * Records what this version writes, for later ones to read: the control plane's data directory, a sidecar's state
 * directory, and the first request of its xDS stream, byte by byte.
 */
export async function record(into: string): Promise<void> {
  // Certificates must outlive the support for what was recorded.
  const mesh = await Mesh.start(["--certificate-ttl", "80000h"]);
  try {
    await mesh.apply(OBJECTS);
    const reviews = await mesh.run({ service: "reviews", args: ["--version", "v1"] });
    const web = await mesh.sidecar({ service: "web", args: ["--upstream", "reviews:8080"] });
    await eventually(async () => (await call(`${web.upstream("reviews:8080")}/v1`)).status === 200);
    const state = join(mesh.directory, "state", "web");
    await eventually(() => readFileSync(join(state, "configuration.json"), "utf8").length > 2000);
    const { node } = (await web.admin("/server_info")) as { readonly node: NodeJson };
    // The launcher would take the instance out of the registry.
    for (const { process } of [web, reviews]) process.kill9();
    await mesh.control.stop();
    mkdirSync(join(into, "state", "web"), { recursive: true });
    for (const name of STATE) cpSync(join(state, name), join(into, "state", "web", name));
    mkdirSync(join(into, "data"), { recursive: true });
    cpSync(join(mesh.directory, "data", "tulle.lmdb"), join(into, "data", "tulle.lmdb"));
    writeFileSync(join(into, "first-request.binpb"), firstRequest(node));
  } finally {
    await mesh.end();
  }
}

type NodeJson = ConstructorParameters<typeof AdsClient>[0]["node"];

/** What a sidecar says first. */
function firstRequest(node: NodeJson): Uint8Array {
  const written: Uint8Array[] = [];
  const stream = {
    write: (request: DeltaDiscoveryRequest) => {
      written.push(toBinary(DeltaDiscoveryRequestSchema, request));
      return true;
    },
  };
  const client = new AdsClient({
    connect: () => ({ call: () => stream, [Symbol.dispose]: () => undefined }) as unknown as GrpcClient,
    node: { id: node.id, metadata: node.metadata },
    configuration: createSnapshotSource({ load: createLoadTable({ maxSlots: 16 }) }),
    roots: () => ["virtualInbound", "reviews:8080"],
    onChanged: () => undefined,
    clock: systemClock,
    random: () => 0,
    logger: silentLogger,
    metrics: new MetricsRegistry(),
  });
  client.connect();
  client[Symbol.dispose]();
  const [first] = written;
  if (first === undefined) throw new Error("the sidecar said nothing");
  return first;
}
