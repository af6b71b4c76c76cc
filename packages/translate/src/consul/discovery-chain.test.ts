import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { instance, mesh } from "../../testdata/mesh.js";
import { discoveryChain, type ChainQuestion } from "./discovery-chain.js";

const yaml = readFileSync(new URL("../../testdata/consul.yaml", import.meta.url), "utf8");
const at = mesh([instance({ service: "web", servicePort: 80, version: "v1", protocol: "auto" })], yaml);
const ask = (more: Partial<ChainQuestion> = {}) =>
  discoveryChain(at.reader, { service: "web", namespace: "default", datacenter: "dc1", ...more });

test("a chain has the shape that Consul documents", () => {
  const chain = ask();
  expect(chain).toMatchObject({
    ServiceName: "web",
    Namespace: "default",
    Partition: "default",
    Datacenter: "dc1",
    Protocol: "http",
    StartNode: "router:web.default.default",
    Nodes: {
      "router:web.default.default": {
        Type: "router",
        Name: "web.default.default",
        Routes: [
          {
            Definition: {
              Match: { HTTP: { PathPrefix: "/admin", Methods: ["GET", "POST"] } },
              Destination: { Service: "admin", PrefixRewrite: "/" },
            },
            NextNode: "resolver:backoffice.default.default.dc1",
          },
          {
            Definition: { Destination: { ServiceSubset: "v2" } },
            NextNode: "resolver:v2.web.default.default.dc1",
          },
          {
            Definition: { Match: { HTTP: { PathPrefix: "/" } }, Destination: { Service: "web" } },
            NextNode: "splitter:web.default.default",
          },
        ],
      },
      "splitter:web.default.default": {
        Type: "splitter",
        Name: "web.default.default",
        Splits: [
          {
            Definition: { Weight: 90.5, ServiceSubset: "v1" },
            Weight: 90.5,
            NextNode: "resolver:v1.web.default.default.dc1",
          },
          { Weight: 9.5, NextNode: "resolver:v2.web.default.default.dc1" },
        ],
      },
      "resolver:v2.web.default.default.dc1": {
        Type: "resolver",
        Name: "v2.web.default.default.dc1",
        Resolver: {
          ConnectTimeout: "3s",
          Target: "v2.web.default.default.dc1",
          Failover: { Targets: ["v1.web.default.default.dc1", "backup.default.default.dc1"] },
        },
      },
      "resolver:backoffice.default.default.dc1": {
        Resolver: { RequestTimeout: "5s", Target: "backoffice.default.default.dc1" },
        LoadBalancer: { Policy: "ring_hash", HashPolicies: [{ Field: "header", FieldValue: "x-user" }] },
      },
    },
    Targets: {
      "v2.web.default.default.dc1": {
        ID: "v2.web.default.default.dc1",
        Service: "web",
        ServiceSubset: "v2",
        Namespace: "default",
        Partition: "default",
        Datacenter: "dc1",
        MeshGateway: {},
        Subset: { Filter: '"canary" in Service.Tags', OnlyPassing: true },
        ConnectTimeout: "3s",
      },
    },
  });
  expect(chain).not.toHaveProperty("Default");
  expect(chain).not.toHaveProperty("CustomizationHash");
});

test("a service of which nobody says anything has the default chain", () => {
  expect(ask({ service: "plain" })).toEqual({
    ServiceName: "plain",
    Namespace: "default",
    Partition: "default",
    Datacenter: "dc1",
    Default: true,
    Protocol: "tcp",
    StartNode: "resolver:plain.default.default.dc1",
    Nodes: {
      "resolver:plain.default.default.dc1": {
        Type: "resolver",
        Name: "plain.default.default.dc1",
        Resolver: { Default: true, ConnectTimeout: "10s", Target: "plain.default.default.dc1" },
      },
    },
    Targets: {
      "plain.default.default.dc1": {
        ID: "plain.default.default.dc1",
        Service: "plain",
        Namespace: "default",
        Partition: "default",
        Datacenter: "dc1",
        MeshGateway: {},
        Subset: {},
        ConnectTimeout: "10s",
      },
    },
  });
});

test("overrides say what the chain would be", () => {
  const timed = ask({ override: { connectTimeout: "7s" } });
  expect(timed["CustomizationHash"]).toMatch(/^[0-9a-f]{8}$/);
  expect(timed).toMatchObject({
    Nodes: { "resolver:v1.web.default.default.dc1": { Resolver: { ConnectTimeout: "7s" } } },
  });
  const bytes = ask({ override: { protocol: "tcp" } });
  expect(bytes).toMatchObject({ Protocol: "tcp", StartNode: "resolver:v1.web.default.default.dc1" });
  expect(Object.keys(bytes["Nodes"] as object)).toEqual(["resolver:v1.web.default.default.dc1"]);
});
