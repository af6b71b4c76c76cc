import { expect, test } from "vitest";
import { parseLookup } from "./lookup.js";

const zones = { domain: "consul", clusterDomain: "cluster.local", datacenter: "dc1" };
const lookup = (name: string) => parseLookup(name === "" ? [] : name.split("."), zones);
const service = {
  kind: "service",
  zone: "consul",
  namespace: "default",
  tag: undefined,
  portName: undefined,
};

test.each([
  ["api.service.consul", { ...service, name: "api" }],
  ["api.service.dc1.consul", { ...service, name: "api" }],
  ["api.service.dc1.dc.consul", { ...service, name: "api" }],
  ["v1.api.service.consul", { ...service, name: "api", tag: "v1" }],
  ["1.2.api.service.consul", { ...service, name: "api", tag: "1.2" }],
  ["_api._tcp.service.consul", { ...service, name: "api" }],
  ["_api._tcp.consul", { ...service, name: "api" }],
  ["_api._v1.service.dc1.consul", { ...service, name: "api", tag: "v1" }],
  ["api.service.shop.ns.consul", { ...service, name: "api", namespace: "shop" }],
  ["api.service.shop.ns.default.ap.dc1.dc.consul", { ...service, name: "api", namespace: "shop" }],
  ["api.shop.svc.cluster.local", { ...service, zone: "cluster.local", name: "api", namespace: "shop" }],
  [
    "_http._tcp.api.shop.svc.cluster.local",
    { ...service, zone: "cluster.local", name: "api", namespace: "shop", portName: "http" },
  ],
  ["tulle.node.dc1.consul", { kind: "node", zone: "consul", name: "tulle" }],
  ["a.b.node.consul", { kind: "node", zone: "consul", name: "a.b" }],
  ["7f000001.addr.dc1.consul", { kind: "address", zone: "consul", address: Buffer.from([127, 0, 0, 1]) }],
  ["consul", { kind: "apex", zone: "consul" }],
  ["cluster.local", { kind: "apex", zone: "cluster.local" }],
  ["service.consul", { kind: "empty", zone: "consul" }],
  ["dc1.consul", { kind: "empty", zone: "consul" }],
  ["dc.consul", { kind: "empty", zone: "consul" }],
  ["_tcp.service.consul", { kind: "empty", zone: "consul" }],
  ["svc.cluster.local", { kind: "empty", zone: "cluster.local" }],
  ["shop.svc.cluster.local", { kind: "empty", zone: "cluster.local" }],
  ["api.service.dc2.consul", { kind: "unknown", zone: "consul" }],
  ["api.service.dc2.dc.consul", { kind: "unknown", zone: "consul" }],
  ["api.service.x.ap.consul", { kind: "unknown", zone: "consul" }],
  ["api.consul", { kind: "unknown", zone: "consul" }],
  ["zz.addr.consul", { kind: "unknown", zone: "consul" }],
  ["api.query.consul", { kind: "unknown", zone: "consul" }],
  ["x.api.shop.svc.cluster.local", { kind: "unknown", zone: "cluster.local" }],
  ["example.com", { kind: "foreign" }],
  ["notconsul", { kind: "foreign" }],
  ["", { kind: "foreign" }],
])("parseLookup reads %s", (name, expected) => {
  expect(lookup(name)).toEqual(expected);
});
