import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { ENDPOINT_TYPE, type EncodedResource } from "@tulle/xds";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import type { LbEndpointSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";

import { compareSet } from "./compare-set.js";
import { readToldSets, type ToldSet } from "./told-sets.js";

const SET = "outbound|80||a.default.svc.cluster.local";

function expected(version: string, healthByPort: Readonly<Record<number, boolean>>): EncodedResource {
  const lbEndpoints = Object.entries(healthByPort).map(
    ([port, healthy]): MessageInitShape<typeof LbEndpointSchema> => ({
      hostIdentifier: {
        case: "endpoint",
        value: {
          address: {
            address: {
              case: "socketAddress",
              value: { address: "10.0.0.1", portSpecifier: { case: "portValue", value: Number(port) } },
            },
          },
        },
      },
      healthStatus: healthy ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
    }),
  );
  const message = create(ClusterLoadAssignmentSchema, { clusterName: SET, endpoints: [{ lbEndpoints }] });
  return {
    typeUrl: ENDPOINT_TYPE,
    name: SET,
    version,
    bytes: toBinary(ClusterLoadAssignmentSchema, message),
  };
}

function told(version: string, healthByPort: Readonly<Record<number, boolean>>): ToldSet {
  const endpoints = Object.entries(healthByPort).map(([port, healthy]) => ({
    address: `10.0.0.1:${port}`,
    healthy,
    held: [],
    requests: 0,
  }));
  return { cluster: SET, version, changedAt: 0, endpoints };
}

test.each([
  ["the same", expected("1", { 1: true, 2: false }), told("1", { 1: true, 2: false }), []],
  ["nothing at either", undefined, undefined, []],
  ["one missing", expected("2", { 1: true, 2: true }), told("1", { 1: true }), [["missing", "10.0.0.1:2"]]],
  ["one too much", expected("2", { 1: true }), told("1", { 1: true, 2: true }), [["stale", "10.0.0.1:2"]]],
  ["other health", expected("2", { 1: true }), told("1", { 1: false }), [["health", "10.0.0.1:1"]]],
  ["other weights", expected("2", { 1: true }), told("1", { 1: true }), [["content", ""]]],
  ["a set that is not held", expected("1", { 1: true }), undefined, [["missing", "10.0.0.1:1"]]],
  ["a set that is gone", undefined, told("1", { 1: true }), [["stale", "10.0.0.1:1"]]],
  [
    "wrong endpoints in the right version",
    expected("1", { 1: true }),
    told("1", { 2: true }),
    [
      ["stale", "10.0.0.1:2"],
      ["missing", "10.0.0.1:1"],
    ],
  ],
])("compareSet: %s", (_what, should, has, differences) => {
  expect(compareSet(SET, should, has).map(({ kind, address }) => [kind, address])).toEqual(differences);
});

test("readToldSets takes what a proxy tells, and refuses everything else", () => {
  const set = {
    cluster: SET,
    version: "1",
    changedAt: 5,
    endpoints: [{ endpoint: "10.0.0.1:1", healthy: true, held: ["ejected"], requests: 2 }],
  };
  const read = readToldSets({ sets: [set], omitted: 0 });
  expect(read.cut).toBe(false);
  expect(read.sets.get(SET)?.endpoints).toEqual([
    { address: "10.0.0.1:1", healthy: true, held: ["ejected"], requests: 2 },
  ]);
  fc.assert(
    fc.property(fc.anything(), fc.anything(), fc.anything(), (a, b, c) => {
      for (const answer of [
        a,
        { sets: a },
        { sets: [{ ...set, version: b }] },
        { sets: [{ ...set, endpoints: [c] }] },
      ]) {
        try {
          readToldSets(answer);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: "CONTROL_AGENT_ANSWER" });
        }
      }
    }),
  );
});
