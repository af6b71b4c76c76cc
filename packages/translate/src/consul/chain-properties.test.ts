import fc from "fast-check";
import { expect, test } from "vitest";
import { CLIENT, instance, mesh, routesOf } from "../../testdata/mesh.js";
import { Translation } from "../translation.js";
import { chainOf } from "./chain.js";
import { discoveryChain } from "./discovery-chain.js";

// Any entries of a few services, which name each other, themselves and what is not there.

const NAMES = ["a", "b", "c", "d"];
const name = fc.constantFrom(...NAMES);
const subset = fc.constantFrom("v1", "v2");
const target = fc.record({ Service: name, ServiceSubset: subset }, { requiredKeys: [] });
const named = fc.record({ Service: name, ServiceSubset: subset }, { requiredKeys: ["Service"] });

const router = fc.record({
  Kind: fc.constant("service-router"),
  Name: name,
  Routes: fc.array(
    fc.record({
      Match: fc.constantFrom({ HTTP: { PathPrefix: "/a" } }, { HTTP: { PathExact: "/b" } }),
      Destination: target,
    }),
    { maxLength: 4 },
  ),
});
const splitter = fc
  .uniqueArray(target, {
    minLength: 1,
    maxLength: 4,
    selector: (one) => JSON.stringify([one.Service, one.ServiceSubset]),
  })
  .chain((targets) =>
    fc.record({
      Kind: fc.constant("service-splitter"),
      Name: name.filter(
        (own) =>
          !targets.some(({ Service, ServiceSubset }) => Service === own && ServiceSubset === undefined),
      ),
      Splits: fc.constant(
        targets.map((one, index) => ({ ...one, Weight: index === 0 ? 100 - 10 * (targets.length - 1) : 10 })),
      ),
    }),
  );
const resolver = fc.oneof(
  fc.record({ Kind: fc.constant("service-resolver"), Name: name, Redirect: named }),
  fc.record({
    Kind: fc.constant("service-resolver"),
    Name: name,
    Subsets: fc.constant({ v1: { Filter: "Service.Meta.version == v1" } }),
    DefaultSubset: fc.constant("v1"),
    Failover: fc.record({ "*": fc.record({ Targets: fc.array(named, { minLength: 1, maxLength: 3 }) }) }),
  }),
);
const entries = fc.uniqueArray(fc.oneof(router, splitter, resolver), {
  maxLength: 12,
  selector: ({ Kind, Name }) => `${Kind}/${Name}`,
});

test("a chain of any entries ends: its parts make the whole, its nodes and targets are there, and sidecars get routes", () => {
  fc.assert(
    fc.property(entries, name, (written, asked) => {
      const instances = NAMES.map((service) => instance({ service, servicePort: 80, version: "v1" }));
      const at = mesh(instances, written.map((entry) => JSON.stringify(entry)).join("\n---\n"));
      const id = { name: asked, namespace: "default" };
      const { routes } = chainOf(new Translation(at.reader, CLIENT), id);
      for (const { parts } of routes) {
        expect(parts.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(100, 6);
      }
      if (routes.length > 0) expect(routes.at(-1)?.written).toBeUndefined();

      const chain = discoveryChain(at.reader, { service: asked, namespace: "default", datacenter: "dc1" });
      const nodes = new Set(Object.keys(chain["Nodes"] as object));
      const targets = new Set(Object.keys(chain["Targets"] as object));
      expect(nodes).toContain(chain["StartNode"]);
      const text = JSON.stringify(chain);
      for (const [, node] of text.matchAll(/"NextNode":"([^"]+)"/g)) expect(nodes).toContain(node);
      for (const [, one] of text.matchAll(/"Target":"([^"]+)"/g)) expect(targets).toContain(one);

      expect(routesOf(at, CLIENT, `${asked}.default.svc.cluster.local:80`)).toHaveLength(
        Math.max(1, routes.length),
      );
    }),
    { numRuns: 200 },
  );
}, 60_000);
