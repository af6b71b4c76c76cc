import type { ProxyTraffic, TrafficEdge } from "@tulle/api";
import { pathClass, type EngineRequest } from "@tulle/engine";
import fc from "fast-check";
import { expect, test } from "vitest";

import { OfflineMesh } from "../offline/offline-mesh.js";
import { readMesh } from "../offline/read-mesh.js";
import { renderYaml } from "../output/format.js";
import { accessPolicy } from "./access-list.js";
import { lineDiff } from "./line-diff.js";
import type { WrittenPolicy } from "./policy-object.js";
import { suggestPolicies } from "./suggest-policies.js";
import { suggestScopes } from "./suggest-scopes.js";

const SERVICES = `
apiVersion: tulle.dev/v1
kind: MeshServices
metadata: {name: shop}
spec:
  services:
  - {name: a}
  - {name: b}
  - {name: c}
  - name: reviews
    port: 9080
    instances: [{address: 10.0.0.1}]
`;
const PROXY = { id: "reviews-1", service: "reviews", namespace: "default", identity: "", version: "" };
const HOST = "reviews.default.svc.cluster.local";

function trafficOf(inbound: readonly TrafficEdge[], calls: readonly string[] = []): ProxyTraffic {
  return { proxy: PROXY, since: 1, complete: true, inbound, calls };
}

function edge(caller: string, requests: readonly (readonly [string, string])[], port = 9080): TrafficEdge {
  return {
    source: caller === "" ? "" : `spiffe://cluster.local/ns/default/sa/${caller}`,
    service: HOST,
    port,
    connections: 0,
    requests: requests.map(([method, path]) => ({
      method,
      path: pathClass(path.split(/[?#]/, 1)[0]!),
      count: 1,
    })),
  };
}

async function meshWith(policies: readonly WrittenPolicy[]): Promise<OfflineMesh> {
  const texts = [{ source: "services.yaml", text: SERVICES }];
  for (const [index, one] of policies.entries())
    texts.push({ source: `policy-${index}.yaml`, text: await renderYaml(one) });
  return new OfflineMesh(readMesh(texts, "default"));
}

/** What the callee's sidecar makes of a request. */
function judged(mesh: OfflineMesh, caller: string, method: string, path: string): string | undefined {
  const request: EngineRequest = { method, path, authority: "reviews:9080", scheme: "http", headers: [] };
  return mesh.explain({ from: { service: caller, namespace: "default" }, namespace: "default", request }).next
    ?.result.kind;
}

const segment = fc.oneof(
  fc.constantFrom("api", "orders", "7", "42", "deadbeef01", "..%2f", "a*", "{x}", "b.html", "~me", "%41", ""),
  fc.stringMatching(/^[a-z0-9._-]{1,24}$/),
  fc.uuid(),
);
const path = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 5 }), fc.constantFrom("", "/", "?q=/x", "?a#b"))
  .map(([segments, end]) => `/${segments.join("/")}${end}`)
  // As proxies see paths: brought into one form.
  .filter((text) => !/(^|\/)\.{1,2}(\/|$|\?)/.test(text));
const requests = fc.array(
  fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom("GET", "POST", "M-SEARCH", "X*"), path),
  { minLength: 1, maxLength: 60 },
);

test("a suggested policy denies nothing of the traffic that it was made from, and lets nobody else in", async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (traffic) => {
      const edges = ["a", "b"].map((caller) =>
        edge(
          caller,
          traffic.filter(([by]) => by === caller).map(([, method, target]) => [method, target] as const),
        ),
      );
      const observed = trafficOf(edges.filter((one) => one.requests.length > 0));
      const mesh = await meshWith(suggestPolicies([observed], { dryRun: false }));
      for (const [caller, method, target] of traffic) {
        expect([caller, method, target, judged(mesh, caller, method, target)]).toEqual([
          caller,
          method,
          target,
          "forward",
        ]);
        expect(judged(mesh, "c", method, target)).toBe("denied");
      }
    }),
    { numRuns: 60 },
  );
});

test("a suggested policy is as narrow as what was observed, and callers that do the same are one rule", () => {
  const [policy] = suggestPolicies(
    [
      trafficOf([
        edge("a", [
          ["GET", "/orders/7"],
          ["GET", "/orders/8?x"],
          ["DELETE", "/orders/8"],
          ["GET", "/health"],
        ]),
        edge("b", [["POST", "/orders"]]),
        edge("c", [["POST", "/orders"]]),
        edge("", [["GET", "/health"]]),
      ]),
    ],
    { dryRun: true },
  );
  expect(policy?.metadata).toEqual({
    name: "reviews-observed",
    namespace: "default",
    annotations: { "istio.io/dry-run": "true" },
  });
  expect(policy?.spec.rules).toEqual([
    {
      from: [{ source: { principals: ["cluster.local/ns/default/sa/a"] } }],
      to: [
        { operation: { methods: ["GET"], paths: ["/health", "/orders/{*}"] } },
        { operation: { methods: ["DELETE"], paths: ["/orders/{*}"] } },
      ],
    },
    {
      from: [{ source: { principals: ["cluster.local/ns/default/sa/b", "cluster.local/ns/default/sa/c"] } }],
      to: [{ operation: { methods: ["POST"], paths: ["/orders"] } }],
    },
    {
      from: [{ source: { notPrincipals: ["*"] } }],
      to: [{ operation: { methods: ["GET"], paths: ["/health"] } }],
    },
  ]);
});

test("very many paths are told by what they begin with, and bytes by their port", () => {
  const many = Array.from({ length: 100 }, (_, index) => ["GET", `/files/f${index}x/y`] as const);
  const [policy] = suggestPolicies(
    [trafficOf([edge("a", many), { ...edge("b", [], 3306), connections: 2 }])],
    { dryRun: false },
  );
  expect(policy?.spec.rules?.map(({ to }) => to)).toEqual([
    [{ operation: { methods: ["GET"], paths: ["/files/{**}"] } }],
    [{ operation: { ports: ["3306"] } }],
  ]);
});

test("of a service that carries bytes alone, callers are all there is to tell", () => {
  const [policy] = suggestPolicies([trafficOf([{ ...edge("b", [], 3306), connections: 2 }])], {
    dryRun: false,
  });
  expect(policy?.spec.rules).toEqual([
    { from: [{ source: { principals: ["cluster.local/ns/default/sa/b"] } }] },
  ]);
});

test("a scope has the hosts that were called", () => {
  const [scope] = suggestScopes([trafficOf([], [HOST, "api.example.com"])], undefined);
  expect(scope).toMatchObject({
    kind: "Sidecar",
    metadata: { namespace: "default" },
    spec: { egress: [{ hosts: ["*/api.example.com", `default/${HOST}`] }] },
  });
});

test("access lists name services, namespaces, addresses and principals", () => {
  const list = (from: readonly string[]) =>
    accessPolicy({
      action: "ALLOW",
      service: "reviews",
      namespace: "default",
      from,
      methods: [],
      paths: [],
      ports: [],
      dryRun: false,
    }).spec.rules?.[0]?.from?.map(({ source }) => source);
  expect(
    list(["frontend", "frontend.shop", "namespace:admin", "10.0.0.0/8", "::1", "principal:t/ns/a/sa/b"]),
  ).toEqual([
    { serviceAccounts: ["default/frontend"] },
    { serviceAccounts: ["shop/frontend"] },
    { namespaces: ["admin"] },
    { ipBlocks: ["10.0.0.0/8"] },
    { ipBlocks: ["::1"] },
    { principals: ["t/ns/a/sa/b"] },
  ]);
  expect(() => list(["a b"])).toThrow(/is no source: write SERVICE/);
});

test("differences are told line by line", () => {
  expect(lineDiff("a\nb\nc\n", "a\nc\nd\n")).toEqual([" a", "-b", " c", "+d"]);
  expect(lineDiff("", "a\n")).toEqual(["+a"]);
});
