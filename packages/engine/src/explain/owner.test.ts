import { expect, test } from "vitest";
import { kindOf } from "./owner.js";

test.each([
  ["virtual-service", "VirtualService"],
  ["http-route", "HTTPRoute"],
  ["grpcroute", "GRPCRoute"],
  ["mesh-http-route", "MeshHTTPRoute"],
  ["mesh-tcp-route", "MeshTCPRoute"],
  ["mesh-load-balancing-strategy", "MeshLoadBalancingStrategy"],
])("the kind of %s in a path is %s", (written, kind) => {
  expect(kindOf(written)).toBe(kind);
});
