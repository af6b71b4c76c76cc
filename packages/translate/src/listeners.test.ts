import { LISTENER_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { apiManager, CLIENT, instance, made, mesh, routeConfig } from "../testdata/mesh.js";
import { translate } from "./translate.js";

const HOST = "reviews.default.svc.cluster.local";
const SHOP = mesh([instance({ service: "reviews", servicePort: 9080 })]);

function routesFor(name: string, at = SHOP, view = CLIENT): string | undefined {
  const { routeSpecifier } = apiManager(at, view, name);
  return routeSpecifier.case === "rds" ? routeSpecifier.value.routeConfigName : undefined;
}

test.each(["reviews:9080", "reviews", "Reviews.default:9080", "reviews.default.svc", HOST, `${HOST}:9080`])(
  "outboundListener leads %s to the routes of the full host",
  (name) => {
    expect(routesFor(name)).toBe(`${HOST}:9080`);
  },
);

test("outboundListener resolves short names in the client's namespace", () => {
  const other = { ...CLIENT, namespace: "other" };
  expect(translate(SHOP.reader, other, LISTENER_TYPE, "reviews:9080")).toEqual({
    resource: undefined,
    dependencies: [
      "objects:consul.hashicorp.com/ServiceResolver",
      "objects:consul.hashicorp.com/ServiceRouter",
      "objects:consul.hashicorp.com/ServiceSplitter",
      "objects:gateway.networking.k8s.io/GRPCRoute",
      "objects:gateway.networking.k8s.io/HTTPRoute",
      "objects:networking.istio.io/ServiceEntry",
      "objects:networking.istio.io/VirtualService",
      "service:other/reviews",
    ],
  });
  expect(routesFor("reviews.default", SHOP, other)).toBe(`${HOST}:9080`);
});

test.each(["reviews:1", "nobody", "*", "", "reviews:99999"])(
  "outboundListener makes nothing of %j",
  (name) => {
    expect(translate(SHOP.reader, CLIENT, LISTENER_TYPE, name).resource).toBeUndefined();
  },
);

test("outboundListener takes port 80 for no port, else the first that carries HTTP", () => {
  const at = (...ports: (readonly [number, "http" | "tcp"])[]) =>
    mesh(ports.map(([servicePort, protocol]) => instance({ service: "reviews", servicePort, protocol })));
  expect(routesFor("reviews", at([79, "http"], [80, "http"]))).toBe(`${HOST}:80`);
  expect(routesFor("reviews", at([7000, "http"], [9000, "http"]))).toBe(`${HOST}:7000`);
});

test("outboundListener takes any port of a portless service to its own routes", () => {
  const at = mesh([instance({ service: "reviews" })]);
  expect(routesFor("reviews", at)).toBe(`${HOST}:8080`);
  expect(routesFor("reviews:1234", at)).toBe(`${HOST}:1234`);
  const [host] = routeConfig(at, CLIENT, `${HOST}:1234`).virtualHosts;
  expect(host?.domains).toContain("reviews:1234");
  expect(host?.routes[0]?.action.value).toMatchObject({
    clusterSpecifier: { value: `outbound|8080||${HOST}` },
  });
});

test("outboundListener knows hosts that exist by their VirtualService alone", () => {
  const at = mesh(
    [instance({ service: "reviews", servicePort: 9080 })],
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front}
spec:
  hosts: [front.example.com]
  http:
  - route: [{destination: {host: reviews}}]
`,
  );
  expect(routesFor("front.example.com", at)).toBe("front.example.com:80");
  const [host] = routeConfig(at, CLIENT, "front.example.com:80").virtualHosts;
  expect(host?.routes[0]?.action.value).toMatchObject({
    clusterSpecifier: { value: `outbound|9080||${HOST}` },
  });
});

test("outboundListener does not depend on routing rules of services", () => {
  expect(made(SHOP, CLIENT, LISTENER_TYPE, "reviews:9080").dependencies).toEqual([
    "objects:networking.istio.io/Sidecar",
    "objects:tulle.dev/RateLimit",
    "objects:tulle.dev/TrafficPolicy",
    "service:default/reviews",
  ]);
});

test("outboundListener asks for an access log unless the mesh has none", () => {
  expect(apiManager(SHOP, CLIENT, "reviews").accessLog).toHaveLength(0);
  const { accessLog: _accessLog, ...settings } = SHOP.reader.settings;
  const logging = { reader: { ...SHOP.reader, settings } };
  expect(apiManager(logging, CLIENT, "reviews").accessLog).toHaveLength(1);
});
