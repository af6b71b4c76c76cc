import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ROUTE_TYPE, RUNTIME_TYPE } from "@tulle/xds";
import type { RouteAction } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { HTTPFaultSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { RuntimeSchema } from "@tulle/xds/gen/envoy/service/runtime/v3/rtds_pb.js";
import { expect, test } from "vitest";

import { CLIENT, instance, made, mesh, routesOf } from "../testdata/mesh.js";

const HOST = "reviews.default.svc.cluster.local:9080";
const SHOP = [instance({ service: "reviews", servicePort: 9080 })];

const runtime = (
  name: string,
  namespace: string,
  values: string,
  created = "2026-01-01T00:00:00Z",
): string => `
apiVersion: tulle.dev/v1
kind: Runtime
metadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${created}"}
spec: {values: ${values}}
---`;

function layer(objects: string, view = CLIENT): unknown {
  const { resource } = made(mesh(SHOP, objects), view, RUNTIME_TYPE, "runtime");
  return fromBinary(RuntimeSchema, resource.bytes).layer;
}

test("a client gets the values of its namespace, and of the mesh those that it does not have itself", () => {
  const objects =
    runtime("mesh", "istio-system", "{a: 1, b: 2, c: {numerator: 3, denominator: MILLION}}") +
    runtime("own", "default", "{b: 20, d: {numerator: 4}}") +
    runtime("other", "shop", "{e: 5}");
  expect(layer(objects)).toEqual({
    a: 1,
    b: 20,
    c: { numerator: 3, denominator: "MILLION" },
    d: { numerator: 4, denominator: "HUNDRED" },
  });
  expect(layer(objects, { ...CLIENT, namespace: "shop" })).toMatchObject({ b: 2, e: 5 });
  expect(layer("")).toEqual({});
});

test("of two objects of a namespace the older has the key", () => {
  const newer = runtime("a", "default", "{k: 1}", "2026-02-01T00:00:00Z");
  expect(layer(newer + runtime("z", "default", "{k: 2}"))).toEqual({ k: 2 });
});

const annotated = (keys: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, annotations: {tulle.dev/runtime-keys: "${keys}"}}
spec:
  hosts: [reviews]
  http:
    - name: canary
      mirror: {host: reviews}
      mirrorPercentage: {value: 0}
      fault: {abort: {httpStatus: 503, percentage: {value: 0}}, delay: {fixedDelay: 1s, percentage: {value: 5}}}
      route: [{destination: {host: reviews}}]
    - name: rest
      route: [{destination: {host: reviews}}]
`;

test("the annotation puts keys to a rule's share, mirror and faults, and to nobody else's", () => {
  const keys = "canary=reviews.canary:10, canary/mirror=reviews.copy canary/delay=slow,canary/abort=broken";
  const [canary, rest] = routesOf(mesh(SHOP, annotated(keys)), CLIENT, HOST);
  expect(canary?.match?.runtimeFraction).toMatchObject({
    defaultValue: { numerator: 100_000 },
    runtimeKey: "reviews.canary",
  });
  const { requestMirrorPolicies } = canary!.action.value as RouteAction;
  expect(requestMirrorPolicies).toMatchObject([
    { runtimeFraction: { defaultValue: { numerator: 0 }, runtimeKey: "reviews.copy" } },
  ]);
  const fault = anyUnpack(canary!.typedPerFilterConfig["envoy.filters.http.fault"]!, HTTPFaultSchema);
  expect(fault).toMatchObject({ delayPercentRuntime: "slow", abortPercentRuntime: "broken" });
  expect(rest?.match?.runtimeFraction).toBeUndefined();
  const [whole] = routesOf(mesh(SHOP, annotated("canary=k")), CLIENT, HOST);
  expect(whole?.match?.runtimeFraction?.defaultValue?.numerator).toBe(1_000_000);
});

test.each([
  ["canary", '"canary" must be RULE=KEY'],
  ["canary=k:101", "must be RULE=KEY"],
  ["canary/mirror=k:5", "must be RULE=KEY"],
  ["canary/other=k", "must be RULE=KEY"],
  ["canary=-k", "must be RULE=KEY"],
  ["nobody=k", 'there is no http rule called "nobody"'],
])("%s in the annotation is warned of", (keys, expected) => {
  const { warnings } = made(mesh(SHOP, annotated(keys)), CLIENT, ROUTE_TYPE, HOST);
  expect(warnings.join("\n")).toContain(expected);
});
