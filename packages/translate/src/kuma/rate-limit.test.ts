import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { LISTENER_TYPE } from "@tulle/xds";
import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { expect, test } from "vitest";
import { CLIENT, instance, listener, made, mesh } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";

const WORKLOAD: ClientView = {
  ...CLIENT,
  labels: { app: "reviews" },
  inbound: [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: 8080, protocol: "http" }],
};
const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];

function policy(
  rules: string,
  { name = "few", namespace = "default", targetRef = "{kind: Mesh}" } = {},
): string {
  return `---
apiVersion: kuma.io/v1alpha1
kind: MeshRateLimit
metadata: {name: ${name}, namespace: ${namespace}}
spec: {targetRef: ${targetRef}, ${rules}}
`;
}

const rate = (num: number, more = "") =>
  `rules: [{default: {local: {http: {requestRate: {num: ${num}, interval: 10s}${more}}}}}]`;

/** The limits of each chain of a workload's inbound listener. */
function limits(yaml: string, view = WORKLOAD): (LocalRateLimit | undefined)[] {
  return listener(mesh(REVIEWS, yaml), view, "virtualInbound").filterChains.flatMap(({ filters }) => {
    const config = filters.at(-1)?.configType;
    const manager =
      config?.case === "typedConfig" ? anyUnpack(config.value, HttpConnectionManagerSchema) : undefined;
    if (manager === undefined) return [];
    const limit = manager.httpFilters.find(({ name }) => name === "tulle.mesh_rate_limit")?.configType;
    return [limit?.case === "typedConfig" ? anyUnpack(limit.value, LocalRateLimitSchema) : undefined];
  });
}

test("every way to a workload has the limit, its status and its headers", () => {
  const headers = "headers: {set: [{name: x-limited, value: 100%}], add: [{name: x-by, value: mesh}]}";
  const found = limits(policy(rate(5, `, onRateLimit: {status: 503, ${headers}}`)));
  expect(found.length).toBeGreaterThan(1);
  for (const limit of found) {
    expect(limit).toMatchObject({
      statPrefix: "default/few",
      status: { code: 503 },
      tokenBucket: { maxTokens: 5, tokensPerFill: 5, fillInterval: { seconds: 10n } },
      enableXRatelimitHeaders: 0,
      responseHeadersToAdd: [
        { header: { key: "x-limited", value: "100%%" }, appendAction: 2 },
        { header: { key: "x-by", value: "mesh" }, appendAction: 0 },
      ],
    });
  }
  expect(made(mesh(REVIEWS, policy(rate(5))), WORKLOAD, LISTENER_TYPE, "virtualInbound").owners).toContain(
    "MeshRateLimit/default/few",
  );
});

const tokens = (yaml: string, view = WORKLOAD) => limits(yaml, view)[0]?.tokenBucket?.maxTokens;

test.each<[what: string, yaml: string, expected: number | undefined]>([
  [
    "as older policies write it",
    policy(rate(5).replace("rules: [{", "from: [{targetRef: {kind: Mesh}, ")),
    5,
  ],
  ["of its labels", policy(rate(5), { targetRef: "{kind: Dataplane, labels: {app: reviews}}" }), 5],
  ["of other labels", policy(rate(5), { targetRef: "{kind: Dataplane, labels: {app: web}}" }), undefined],
  ["of its service", policy(rate(5), { targetRef: "{kind: MeshService, name: reviews}" }), 5],
  ["of its namespace", policy(rate(5)), 5],
  ["of another namespace", policy(rate(5), { namespace: "other" }), undefined],
  ["of the mesh", policy(rate(5), { namespace: "kuma-system" }), 5],
  ["of gateways", policy(rate(5), { targetRef: "{kind: Mesh, proxyTypes: [Gateway]}" }), undefined],
  ["that is disabled", policy(rate(5, ", disabled: true")), undefined],
  ["of nobody", "", undefined],
  [
    "of several, the more specific first",
    policy(rate(5)) + policy(rate(7), { name: "a", targetRef: "{kind: Dataplane, labels: {app: reviews}}" }),
    7,
  ],
  [
    "of several, its namespace's first",
    policy(rate(5), { namespace: "kuma-system", name: "a" }) + policy(rate(6)),
    6,
  ],
])("the limit %s", (_what, yaml, expected) => {
  expect(tokens(yaml)).toBe(expected);
});

test("what one policy leaves out another one says", () => {
  const only = (field: string) => `rules: [{default: {local: {http: {${field}}}}}]`;
  const yaml = policy(rate(5), { name: "b" }) + policy(only("onRateLimit: {status: 503}"), { name: "a" });
  expect(limits(yaml)[0]).toMatchObject({ status: { code: 503 }, tokenBucket: { maxTokens: 5 } });
});

test("gateways are not limited by what is said of workloads", () => {
  const gateway = { ...WORKLOAD, gateway: { trustedProxies: 0 } };
  const entry = `---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
`;
  const at = mesh(REVIEWS, policy(rate(5)) + entry);
  expect(made(at, gateway, LISTENER_TYPE, "virtualInbound").owners).toEqual(["Gateway/default/edge"]);
});
