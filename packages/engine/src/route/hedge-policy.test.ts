import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { HedgePolicySchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { expect, test } from "vitest";
import { compileHedge } from "./hedge-policy.js";

function compile(init: MessageInitShape<typeof HedgePolicySchema> | undefined, metadata?: JsonObject) {
  return compileHedge("route", init && create(HedgePolicySchema, init), metadata);
}

test("compileHedge hedges nothing where nobody says so", () => {
  expect(compile(undefined)).toBeUndefined();
  expect(compile({})).toBeUndefined();
  expect(compile({ initialRequests: 1 }, { rule: "http[0]" })).toBeUndefined();
});

test.each([
  [{ hedgeOnPerTryTimeout: true }, undefined, { onPerTryTimeout: true, max: 0 }],
  [{ initialRequests: 3 }, undefined, { initial: 3, max: 2 }],
  [{ additionalRequestChance: { numerator: 25 } }, undefined, { initialChance: 0.25, max: 1 }],
  [undefined, { hedge: { afterMs: 50 } }, { afterMs: 50, max: 1, initial: 1 }],
  [{ initialRequests: 2 }, { hedge: { afterMs: 50, max: 2 } }, { afterMs: 50, max: 3 }],
] as const)("compileHedge of %j and %j", (policy, metadata, expected) => {
  expect(compile(policy, metadata)).toMatchObject(expected);
});

test.each([
  [{ initialRequests: 0 }, undefined, "route.hedge_policy.initial_requests: must be between 1 and 5"],
  [undefined, { hedge: { afterMs: "soon" } }, "route.metadata.hedge.afterMs"],
  [undefined, { hedge: { afterMs: 10, max: 6 } }, "route.metadata.hedge.max: must be between 1 and 5"],
  [undefined, { hedge: null }, "route.metadata.hedge"],
])("compileHedge refuses %j and %j", (policy, metadata, message) => {
  expect(() => compile(policy, metadata)).toThrow(message);
});
