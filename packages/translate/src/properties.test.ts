import { fromBinary } from "@bufbuild/protobuf";
import { createLoadTable, createSnapshotSource } from "@tulle/engine";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, type EncodedResource } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryMesh, arbitraryRoutedMesh, arbitraryView } from "../testdata/arbitrary.js";
import { grpcRefusal } from "../testdata/grpc-js-xds.js";
import { CLIENT, clustersOf, listener, targetsOf, type TestMesh } from "../testdata/mesh.js";
import type { ClientView, Dependency } from "./contract.js";
import { translate } from "./translate.js";

const anyMesh = fc.oneof(arbitraryMesh, arbitraryRoutedMesh);
const AUTHORITIES = ["reviews:9080", "ratings.default", "a.example:9080", "b.example:9080", "nowhere"];

/** Everything that a client of these authorities asks for, and what it asked for in vain. */
function walk(at: TestMesh, view: ClientView): { resources: EncodedResource[]; missing: string[] } {
  const resources: EncodedResource[] = [];
  const missing: string[] = [];
  const ask = (typeUrl: string, name: string): EncodedResource | undefined => {
    const { resource } = translate(at.reader, view, typeUrl, name);
    if (resource === undefined) missing.push(name);
    else resources.push(resource);
    return resource;
  };
  const routes = new Set<string>();
  const clusters = new Set<string>();
  for (const name of AUTHORITIES) {
    if (translate(at.reader, view, LISTENER_TYPE, name).resource === undefined) continue;
    ask(LISTENER_TYPE, name);
    const targets = targetsOf(listener(at, view, name));
    for (const route of targets.routes) routes.add(route);
    for (const cluster of targets.clusters) clusters.add(cluster);
  }
  for (const name of routes) {
    const resource = ask(ROUTE_TYPE, name);
    if (resource === undefined) continue;
    const { virtualHosts } = fromBinary(RouteConfigurationSchema, resource.bytes);
    for (const host of virtualHosts) for (const cluster of clustersOf(host.routes)) clusters.add(cluster);
  }
  for (const name of clusters) {
    ask(CLUSTER_TYPE, name);
    ask(ENDPOINT_TYPE, name);
  }
  return { resources, missing };
}

test("translate gives a cluster and endpoints for everything that its listeners and routes refer to", () => {
  fc.assert(
    fc.property(anyMesh, arbitraryView, (at, view) => {
      expect(walk(at, view).missing).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("translate gives equal bytes for equal inputs", () => {
  fc.assert(
    fc.property(anyMesh, arbitraryView, (at, view) => {
      // The same objects, with the keys of every record the other way round.
      const turned: TestMesh = {
        reader: { ...at.reader, objects: (group, kind) => at.reader.objects(group, kind).map(reverseKeys) },
      };
      const versions = (mesh: TestMesh) =>
        walk(mesh, view).resources.map(({ name, version }) => `${name} ${version}`);
      expect(versions(turned)).toEqual(versions(at));
    }),
    { numRuns: 150 },
  );
});

test("translate makes nothing for proxyless gRPC that grpc-js-xds refuses", () => {
  let resources = 0;
  fc.assert(
    fc.property(anyMesh, fc.boolean(), (at, mtls) => {
      const view: ClientView = { dialect: "grpc", namespace: "default", mtls, labels: {}, inbound: [] };
      for (const resource of walk(at, view).resources) {
        resources++;
        expect(grpcRefusal(resource), resource.name).toBeUndefined();
      }
    }),
    { numRuns: 150 },
  );
  expect(resources).toBeGreaterThan(500);
});

test("translate makes no routes that the engine refuses", () => {
  fc.assert(
    fc.property(anyMesh, (at) => {
      const source = createSnapshotSource({ load: createLoadTable() });
      const { resources } = walk(at, CLIENT);
      const refused = source.apply(
        resources.filter(({ typeUrl }) => typeUrl === ROUTE_TYPE || typeUrl === LISTENER_TYPE),
      );
      expect(refused).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test("translate names every dependency that it read", () => {
  fc.assert(
    fc.property(anyMesh, arbitraryView, (at, view) => {
      for (const name of AUTHORITIES) {
        const read = new Set<Dependency>();
        const { dependencies } = translate(watched(at, read), view, LISTENER_TYPE, name);
        for (const one of read) expect(dependencies).toContain(one);
      }
      for (const { typeUrl, name } of walk(at, view).resources) {
        const read = new Set<Dependency>();
        const { dependencies } = translate(watched(at, read), view, typeUrl, name);
        for (const one of read) expect(dependencies).toContain(one);
      }
    }),
    { numRuns: 100 },
  );
});

test("translate leaves everything but endpoints alone when an instance's health changes", () => {
  fc.assert(
    fc.property(anyMesh, arbitraryView, (at, view) => {
      const versions = (mesh: TestMesh) =>
        walk(mesh, view)
          .resources.filter(({ typeUrl }) => typeUrl !== ENDPOINT_TYPE)
          .map(({ name, version }) => `${name} ${version}`);
      expect(versions(allCritical(at))).toEqual(versions(at));
    }),
    { numRuns: 100 },
  );
});

test("translate answers any name", () => {
  const name = fc.oneof(
    fc.string(),
    fc
      .tuple(
        fc.constantFrom("inbound", "outbound"),
        fc.nat({ max: 70_000 }),
        fc.string(),
        fc.constantFrom("a.example", "__proto__", "*", "[::1]"),
      )
      .map((parts) => parts.join("|")),
    fc.constantFrom(
      "__proto__",
      "constructor:80",
      "virtualInbound",
      "a.example:9080",
      "*.example:9080",
      "[::1]:80",
    ),
  );
  const typeUrl = fc.constantFrom(LISTENER_TYPE, ROUTE_TYPE, CLUSTER_TYPE, ENDPOINT_TYPE, "x");
  fc.assert(
    fc.property(anyMesh, arbitraryView, typeUrl, name, (at, view, type, asked) => {
      const { resource } = translate(at.reader, view, type, asked);
      if (resource !== undefined) expect(resource).toMatchObject({ typeUrl: type, name: asked });
    }),
    { numRuns: 500 },
  );
});

function watched({ reader }: TestMesh, read: Set<Dependency>): TestMesh["reader"] {
  return {
    settings: reader.settings,
    catalog: {
      services: () => reader.catalog.services(),
      service: (namespace, name) => {
        read.add(`service:${namespace}/${name}`);
        return reader.catalog.service(namespace, name);
      },
    },
    objects: (group, kind) => {
      read.add(`objects:${group}/${kind}`);
      return reader.objects(group, kind);
    },
  };
}

function allCritical({ reader }: TestMesh): TestMesh {
  return {
    reader: {
      ...reader,
      catalog: {
        services: () => reader.catalog.services(),
        service: (namespace, name) => {
          const service = reader.catalog.service(namespace, name);
          return (
            service && {
              ...service,
              instances: service.instances.map((one) => ({ ...one, health: "critical" as const })),
            }
          );
        },
      },
    },
  };
}

function reverseKeys<T>(value: T): T {
  if (Array.isArray(value)) return value.map(reverseKeys) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, child]) => [key, reverseKeys(child as unknown)]),
  ) as T;
}
