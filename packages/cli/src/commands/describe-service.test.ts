import { afterAll, beforeAll, expect, test } from "vitest";

import { golden, startHarness, type CliHarness } from "./testdata/harness.js";

const CONFIGURATION = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - name: beta
      match:
        - headers: {x-user: {exact: beta}}
        - sourceNamespace: elsewhere
      route: [{destination: {host: reviews, subset: v2}}]
      timeout: 2s
    - delegate: {name: reviews-part}
      match: [{uri: {prefix: /part}}]
    - route:
        - {destination: {host: reviews, subset: v1}, weight: 90}
        - {destination: {host: reviews, subset: v2}, weight: 10}
      retries: {attempts: 3, perTryTimeout: 1s, retryOn: 5xx}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews-part}
spec:
  http:
    - redirect: {authority: part.example, redirectCode: 302}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: everything}
spec:
  hosts: ["*.default.svc.cluster.local"]
  http: [{directResponse: {status: 404}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {connectionPool: {http: {maxRetries: 5}}}
  subsets:
    - {name: v1, labels: {version: v1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews-canary}
spec:
  host: reviews
  subsets:
    - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: reviews}
spec: {host: reviews, hedging: {after: 50ms}, adaptiveConcurrency: {minConcurrency: 5}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: own, namespace: shop}
spec: {egress: [{hosts: ["./*"]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec:
  hosts: [api.example]
  resolution: STATIC
  ports: [{number: 80, name: http}]
  endpoints: [{address: 192.0.2.1}, {address: 192.0.2.2}]
`;

let mesh: CliHarness;

beforeAll(async () => {
  mesh = await startHarness();
  for (const version of ["v1", "v1", "v2"]) {
    await fetch(`${mesh.server}/v1/agent/service/register`, {
      method: "PUT",
      body: JSON.stringify({
        ID: `reviews-${version}-${Math.random()}`,
        Name: "reviews",
        Port: 8080,
        Meta: { version, "tulle-service-port": "9080", "tulle-protocol": "http" },
      }),
    });
  }
  const { err } = await mesh.tulle(["apply", "-f", "-"], { stdin: CONFIGURATION });
  expect(err).not.toContain("refused");
});
afterAll(() => mesh.close());

test("tulle describe service says in prose what holds for calls to it, and who says so", async () => {
  const { code, out } = await mesh.tulle(["describe", "service", "reviews", "--from", "default"]);
  const { actual, expected } = golden(
    "describe-service",
    out.replaceAll(/240\.240\.\d+\.\d+/g, "240.240.X.X"),
  );
  expect(actual).toBe(expected);
  expect(code).toBe(0);
});

test("tulle describe service says that a Sidecar hides it", async () => {
  const { out } = await mesh.tulle(["describe", "svc/reviews", "--from", "shop"]);
  expect(out).toContain("They cannot call it: Sidecar shop/own does not list it.");
});

test("tulle describe service knows hosts of ServiceEntries, and says what nobody knows", async () => {
  const { out, code } = await mesh.tulle(["describe", "service", "api.example"]);
  expect(out).toContain("It comes from ServiceEntry default/api, with 2 of 2 instances serving");
  expect(code).toBe(0);
  const nothing = await mesh.tulle(["describe", "service", "nowhere", "-n", "shop"]);
  expect([nothing.code, nothing.out]).toEqual([
    4,
    expect.stringContaining("No service of that name is known."),
  ]);
});

test("tulle describe service -o json has every owner", async () => {
  const { out } = await mesh.tulle(["describe", "service", "reviews", "-o", "json"]);
  expect(JSON.parse(out)).toMatchObject({
    host: "reviews.default.svc.cluster.local",
    source: "registry",
    instances: { serving: 3, total: 3 },
    routes: { owner: "VirtualService default/reviews", ignored: ["VirtualService default/everything"] },
    traffic: {
      owners: ["DestinationRule default/reviews", "DestinationRule default/reviews-canary"],
      subsets: [
        { name: "v1", owner: "DestinationRule default/reviews", instances: 2 },
        { name: "v2", owner: "DestinationRule default/reviews-canary", instances: 1 },
      ],
    },
    accepts: { mode: "STRICT", owner: "PeerAuthentication default/strict" },
  });
});
