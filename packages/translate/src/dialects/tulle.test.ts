import { CLUSTER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { CLIENT, instance, made, mesh } from "../../testdata/mesh.js";

const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];
const HOST = "reviews.default.svc.cluster.local";

test("tulleDialect says what of a route its proxy does not carry out", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - fault: {abort: {httpStatus: 500}}
    mirror: {host: reviews}
    route: [{destination: {host: reviews}}]
  - route: [{destination: {host: reviews}}]
`;
  expect(made(mesh(REVIEWS, yaml), CLIENT, ROUTE_TYPE, `${HOST}:9080`).warnings).toEqual([
    "route reviews/http[0]: Tulle's proxy does not carry out fault injection, mirroring yet",
  ]);
});

test.each([
  ["tls: {mode: SIMPLE}", "cannot originate TLS"],
  ["loadBalancer: {consistentHash: {useSourceIp: true}}", "consistent hash"],
])("tulleDialect says that its proxy does not do %s", (policy, warning) => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {${policy}}}
`;
  expect(made(mesh(REVIEWS, yaml), CLIENT, CLUSTER_TYPE, `outbound|9080||${HOST}`).warnings).toEqual([
    expect.stringContaining(warning),
  ]);
});
