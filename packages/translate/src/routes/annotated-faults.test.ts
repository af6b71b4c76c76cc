import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ROUTE_TYPE } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { HTTPFaultSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { ConnectionResetSchema } from "@tulle/xds/gen/tulle/fault/v1/connection_reset_pb.js";
import { expect, test } from "vitest";
import { CLIENT, instance, made, mesh } from "../../testdata/mesh.js";
import { RESET_FILTER } from "./annotated-faults.js";
import { FAULT_FILTER } from "./fault.js";

const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];

function routeWith(annotations: string, rule = "") {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, annotations: {${annotations}}}
spec: {hosts: [reviews], http: [{${rule}route: [{destination: {host: reviews}}]}]}
`;
  const { resource, warnings } = made(
    mesh(REVIEWS, yaml),
    CLIENT,
    ROUTE_TYPE,
    "reviews.default.svc.cluster.local:9080",
  );
  const [route] = fromBinary(RouteConfigurationSchema, resource.bytes).virtualHosts[0]!.routes;
  const { [FAULT_FILTER]: fault, [RESET_FILTER]: reset } = route!.typedPerFilterConfig;
  return {
    fault: fault && anyUnpack(fault, HTTPFaultSchema),
    reset: reset && anyUnpack(reset, ConnectionResetSchema),
    warnings,
  };
}

test("annotations reset connections and slow responses down, beside the rule's own fault", () => {
  const { fault, reset, warnings } = routeWith(
    'tulle.dev/fault-reset: "2.5", tulle.dev/fault-reset-after-bytes: "10", tulle.dev/fault-bandwidth: "64"',
    "fault: {abort: {httpStatus: 500}}, ",
  );
  expect(warnings).toEqual([]);
  expect(reset).toMatchObject({ percentage: { numerator: 25_000 }, afterResponseBytes: 10n });
  expect(fault).toMatchObject({
    abort: { errorType: { value: 500 } },
    responseRateLimit: { limitType: { value: { limitKbps: 64n } }, percentage: { numerator: 1_000_000 } },
  });
});

test.each([
  ['tulle.dev/fault-reset: "101"', "tulle.dev/fault-reset must be a number from 0 to 100"],
  ['tulle.dev/fault-bandwidth: "1.5"', "tulle.dev/fault-bandwidth must be a whole number"],
  ['tulle.dev/fault-bandwidth: "0"', "must be at least 1 KiB/s"],
])("annotations %s are left out with a warning", (annotations, warning) => {
  const { fault, reset, warnings } = routeWith(annotations);
  expect([fault, reset]).toEqual([undefined, undefined]);
  expect(warnings.join("\n")).toContain(warning);
});
