import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { CLUSTER_TYPE, RESOLVED_NAMES_TYPE } from "@tulle/xds";
import {
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily as Family,
  ClusterSchema,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ResolvedNamesSchema } from "@tulle/xds/gen/tulle/v1/resolved_names_pb.js";
import { expect, test } from "vitest";
import { createLoadTable } from "../load/load-table.js";
import { apiListener, change, routes, routeTo } from "../testing/resources.js";
import type { HttpChain, ResourceChange } from "./contract.js";
import { createSnapshotSource } from "./snapshot-source.js";

type ClusterInit = MessageInitShape<typeof ClusterSchema>;

const at = (address: string, portValue: number) => ({
  hostIdentifier: {
    case: "endpoint" as const,
    value: {
      address: {
        address: {
          case: "socketAddress" as const,
          value: { address, portSpecifier: { case: "portValue" as const, value: portValue } },
        },
      },
    },
  },
});

function named(hosts: readonly [string, number][], more: ClusterInit = {}): ResourceChange {
  return change(CLUSTER_TYPE, "c", ClusterSchema, {
    name: "c",
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STRICT_DNS },
    loadAssignment: {
      clusterName: "c",
      endpoints: [{ lbEndpoints: hosts.map(([host, port]) => at(host, port)) }],
    },
    ...(more as object),
  });
}

function resolved(names: Readonly<Record<string, readonly string[]>>): ResourceChange {
  const list = Object.entries(names).map(([name, addresses]) => ({ name, addresses: [...addresses] }));
  const bytes = toBinary(ResolvedNamesSchema, create(ResolvedNamesSchema, { names: list }));
  return { typeUrl: RESOLVED_NAMES_TYPE, name: "c", version: "1", bytes };
}

function mesh(cluster: ResourceChange, resolvesNames = true) {
  const source = createSnapshotSource({ load: createLoadTable(), resolvesNames });
  const rejections = source.apply([apiListener("l", "r"), routes("r", [routeTo("c")]), cluster]);
  return {
    source,
    rejections,
    keys: () => source.current.cluster("c")!.endpoints.map(({ key }) => key),
    warm: () => (source.current.outbound("l") as HttpChain).warm,
    settings: () => [...source.named()][0]?.[1],
  };
}

test("a cluster of names waits until all of them were looked up, and has an endpoint for each address", () => {
  const { source, keys, warm, settings } = mesh(
    named([
      ["a.example", 80],
      ["b.example", 81],
      ["10.0.0.9", 82],
    ]),
  );
  expect(settings()?.names).toEqual(["a.example", "b.example"]);
  expect(warm()).toBe(false);
  source.apply([resolved({ "a.example": ["10.0.0.1", "10.0.0.2"] })]);
  expect(warm()).toBe(false);
  source.apply([resolved({ "a.example": ["10.0.0.1", "10.0.0.2"], "b.example": ["fd00::1", "10.0.0.1"] })]);
  expect(warm()).toBe(true);
  expect(keys()).toEqual(["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:81", "10.0.0.1:81", "10.0.0.9:82"]);
  const hosts = source.current.cluster("c")!.endpoints.map(({ hostname }) => hostname);
  expect(hosts).toEqual(["a.example", "a.example", "b.example", "b.example", ""]);
});

test("endpoints that stay stay the same objects; a name that stands for nothing has none", () => {
  const { source, keys, warm } = mesh(named([["a.example", 80]]));
  source.apply([resolved({ "a.example": ["10.0.0.1", "10.0.0.2"] })]);
  const [, second] = source.current.cluster("c")!.endpoints;
  source.apply([resolved({ "a.example": ["10.0.0.2", "10.0.0.3"] })]);
  expect(source.current.cluster("c")!.endpoints[0]).toBe(second);
  expect(keys()).toEqual(["10.0.0.2:80", "10.0.0.3:80"]);
  source.apply([resolved({ "a.example": [] })]);
  expect([keys(), warm()]).toEqual([[], true]);
});

test("what names stand for is kept like a resource, never asked for, and goes with its cluster", () => {
  const { source } = mesh(named([["a.example", 80]]));
  const found = resolved({ "a.example": ["10.0.0.1"] });
  source.apply([found]);
  expect([...source.resources()]).toContainEqual(found);
  expect([...source.wanted(["l"]).keys()]).not.toContain(RESOLVED_NAMES_TYPE);
  source.forget(CLUSTER_TYPE, ["c"]);
  expect([...source.resources()].map(({ typeUrl }) => typeUrl)).not.toContain(RESOLVED_NAMES_TYPE);
  // From disk it may come before its cluster.
  source.apply([found]);
  source.apply([named([["a.example", 80]])]);
  expect(source.current.cluster("c")!.endpoints.map(({ key }) => key)).toEqual(["10.0.0.1:80"]);
});

test("settings are Envoy's, with a second between lookups at least", () => {
  const of = (more: ClusterInit) => mesh(named([["a.example", 80]], more)).settings();
  expect(of({})).toEqual({
    names: ["a.example"],
    family: "v6-preferred",
    oneAddress: false,
    refreshMs: 5000,
    respectTtl: false,
    failureMs: 5000,
    maxFailureMs: 50_000,
  });
  expect(
    of({
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.LOGICAL_DNS },
      dnsLookupFamily: Family.V4_PREFERRED,
      dnsRefreshRate: { nanos: 1e6 },
      respectDnsTtl: true,
      dnsFailureRefreshRate: { baseInterval: { seconds: 2n }, maxInterval: { seconds: 30n } },
    }),
  ).toMatchObject({
    family: "v4-preferred",
    oneAddress: true,
    refreshMs: 1000,
    respectTtl: true,
    failureMs: 2000,
    maxFailureMs: 30_000,
  });
});

test("a cluster of addresses alone, and one that nobody resolves, have their endpoints as they are written", () => {
  const addresses = mesh(
    named([
      ["10.0.0.1", 80],
      ["fd00::1", 80],
    ]),
  );
  expect([addresses.keys(), addresses.warm()]).toEqual([["10.0.0.1:80", "[fd00::1]:80"], true]);
  expect(addresses.settings()).toBeUndefined();
  const names = mesh(named([["a.example", 80]]), false);
  expect([names.keys(), names.warm(), names.settings()]).toEqual([["a.example:80"], true, undefined]);
  expect(mesh(named([], { loadAssignment: undefined } as never)).rejections[0]?.message).toContain(
    "load_assignment: must be set for type STRICT_DNS",
  );
});
