import { fromBinary } from "@bufbuild/protobuf";
import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { expect, test } from "vitest";
import { CLIENT, instance, mesh, objectsOf } from "../../testdata/mesh.js";
import { analyze } from "../analysis/analyze.js";
import type { ClientView } from "../contract.js";
import { translate } from "../translate.js";
import { gatewayStatus } from "./gateway-status.js";
import { GATEWAY_NAME_LABEL } from "./gateways.js";
import { routeParents } from "./route-status.js";

const VIEW: ClientView = {
  ...CLIENT,
  namespace: "edge",
  labels: { [GATEWAY_NAME_LABEL]: "public" },
  gateway: { trustedProxies: 0 },
};
const SHOP = [instance({ service: "web", servicePort: 80, namespace: "shop" })];

const gateway = (allowed = ", allowedListeners: {namespaces: {from: All}}", name = "public") => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: edge}
spec:
  gatewayClassName: tulle
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: own.example.com, allowedRoutes: {namespaces: {from: All}}}]${
    allowed === "" ? "" : `\n  ${allowed.slice(2)}`
  }
---`;
const HTTP = "{name: web, port: 80, protocol: HTTP, hostname: shop.example.com}";
const set = (listeners: string, name = "shop", created = "2026-01-01T00:00:00Z") => `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: ${name}, namespace: shop, creationTimestamp: "${created}"}
spec: {parentRef: {name: public, namespace: edge}, listeners: [${listeners}]}
---`;
const route = (parent = "{kind: ListenerSet, name: shop}") => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec: {parentRefs: [${parent}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---`;
const secret = `
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: shop}
stringData: {tls.crt: certificate, tls.key: key}
---`;
const HTTPS =
  "{name: tls, port: 443, protocol: HTTPS, hostname: shop.example.com, tls: {certificateRefs: [{name: web}]}}";

function hosts(text: string, name = "http.80"): readonly (string | undefined)[] {
  const { resource } = translate(mesh(SHOP, text).reader, VIEW, ROUTE_TYPE, name);
  if (resource === undefined) return [];
  return fromBinary(RouteConfigurationSchema, resource.bytes).virtualHosts.map(({ domains }) => domains[0]);
}

function ports(text: string): readonly (number | undefined)[] {
  const { resource } = translate(mesh(SHOP, text).reader, VIEW, LISTENER_TYPE, "virtualInbound");
  if (resource === undefined) return [];
  const { filterChains } = fromBinary(ListenerSchema, resource.bytes);
  return filterChains.map(({ filterChainMatch }) => filterChainMatch?.destinationPort);
}

function status(text: string, kind = "ListenerSet", name = "shop") {
  const { reader } = mesh(SHOP, text);
  const object = objectsOf(text).find((one) => one.kind === kind && one.metadata.name === name)!;
  const found = gatewayStatus(reader, object);
  const told = (conditions: readonly { type: string; status: string; reason: string }[] = []) =>
    conditions.map((one) => `${one.type}=${one.status} ${one.reason}`);
  return {
    attached: found?.attachedListenerSets,
    conditions: found && told(found.conditions),
    listeners: found?.listeners?.map((each) => [each.name, each.attachedRoutes, ...told(each.conditions)]),
    parents: routeParents(reader, object)?.map(({ conditions }) => told(conditions)),
  };
}

test("a ListenerSet adds listeners to a Gateway that allows it, and routes name the set", () => {
  const text = gateway() + set(HTTP) + route();
  expect(hosts(text)).toEqual(["shop.example.com"]);
  expect(status(text)).toMatchObject({
    conditions: ["Accepted=True Accepted", "Programmed=True Programmed"],
    listeners: [
      [
        "web",
        1,
        "Accepted=True Accepted",
        "Conflicted=False NoConflicts",
        "ResolvedRefs=True ResolvedRefs",
        "Programmed=True Programmed",
      ],
    ],
  });
  expect(status(text, "HTTPRoute", "web").parents).toEqual([
    ["Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs"],
  ]);
  expect(status(text, "Gateway", "public")).toMatchObject({
    attached: 1,
    listeners: [expect.arrayContaining(["http", 0])],
  });
});

test("routes of the Gateway are not the set's, and the other way round", () => {
  const text = gateway() + set(HTTP) + route("{name: public, namespace: edge}");
  expect(hosts(text)).toEqual(["own.example.com"]);
  expect(hosts(gateway() + set(HTTP) + route())).not.toContain("own.example.com");
});

test.each([
  ["", false],
  [", allowedListeners: {}", false],
  [", allowedListeners: {namespaces: {from: None}}", false],
  [", allowedListeners: {namespaces: {from: Same}}", false],
  [", allowedListeners: {namespaces: {from: Selector, selector: {matchLabels: {team: shop}}}}", true],
  [", allowedListeners: {namespaces: {from: Selector, selector: {matchLabels: {team: other}}}}", false],
  [", allowedListeners: {namespaces: {from: All}}", true],
])("a Gateway with %j takes it: %s", (allowed, taken) => {
  const namespace = "\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: shop}}\n---";
  const text = gateway(allowed) + namespace + set(HTTP) + route();
  expect(hosts(text).includes("shop.example.com")).toBe(taken);
  if (taken) return;
  expect(status(text).conditions).toEqual(["Accepted=False NotAllowed", "Programmed=False NotAllowed"]);
  expect(status(text, "HTTPRoute", "web").parents).toEqual([
    ["Accepted=False NoMatchingParent", "ResolvedRefs=True ResolvedRefs"],
  ]);
  const { reader } = mesh(SHOP, text);
  expect(
    analyze(reader, { live: true })
      .map(({ message }) => message)
      .join("\n"),
  ).toContain("takes no ListenerSets of this namespace");
});

test("what its listeners refer to is of its own namespace", () => {
  const text = gateway() + set(HTTPS) + route();
  expect(ports(text)).toEqual([80]);
  expect(status(text).conditions).toEqual([
    "Accepted=False ListenersNotValid",
    "Programmed=False ListenersNotValid",
  ]);
  expect(ports(text + secret)).toEqual([80, 443]);
  expect(hosts(text + secret, "https.443.tls.shop/listenerset.shop")).toEqual(["shop.example.com"]);
  const foreign = secret.replace("namespace: shop", "namespace: edge");
  const other = HTTPS.replace("{name: web}", "{name: web, namespace: edge}");
  expect(ports(gateway() + set(other) + foreign)).toEqual([80]);
});

test("the Gateway's own listeners come first, then the oldest set's", () => {
  const own = "{name: own, port: 80, protocol: HTTP, hostname: own.example.com}";
  const text =
    gateway() +
    set(`${own}, ${HTTP}`, "late", "2026-02-01T00:00:00Z") +
    set(HTTP) +
    route("{kind: ListenerSet, name: late}");
  expect(hosts(text)).toEqual([]);
  const conflict = "Conflicted=True HostnameConflict";
  expect(status(text, "ListenerSet", "late").listeners).toEqual([
    expect.arrayContaining(["own", "Accepted=False PortUnavailable", conflict]),
    expect.arrayContaining(["web", "Accepted=False PortUnavailable", conflict]),
  ]);
  expect(status(text).conditions).toEqual(["Accepted=True Accepted", "Programmed=True Programmed"]);
  expect(status(text, "Gateway", "public").attached).toBe(1);
});

test("sets of a Gateway that is not there, or not ours, have no status", () => {
  expect(status(gateway(undefined, "other") + set(HTTP)).conditions).toBeUndefined();
  const foreign = gateway().replace("gatewayClassName: tulle", "gatewayClassName: istio");
  expect(status(foreign + set(HTTP)).conditions).toBeUndefined();
});
