import { apiVersionOf, GATEWAY_API_GROUP, type MeshObject, type ObjectKey } from "@tulle/api";
import { Emitter } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import type { MeshReader } from "@tulle/translate";
import { expect, test } from "vitest";

import type { ConfigChange } from "../config/index.js";
import { RouteStatuses } from "./route-statuses.js";

const KEY: ObjectKey = { group: GATEWAY_API_GROUP, kind: "HTTPRoute", namespace: "default", name: "reviews" };

function route(uid: string, generation: number, port: number): MeshObject {
  return {
    apiVersion: apiVersionOf(GATEWAY_API_GROUP, "v1"),
    kind: "HTTPRoute",
    metadata: {
      name: "reviews",
      namespace: "default",
      uid,
      resourceVersion: "1",
      generation,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: {
      parentRefs: [{ kind: "Service", group: "", name: "reviews" }],
      rules: [{ backendRefs: [{ name: "reviews", port }] }],
    },
  };
}

function world() {
  const clock = new FakeClock();
  const objects = new Map<string, MeshObject>();
  const changes = new Emitter<ConfigChange>((thrown) => {
    throw thrown;
  });
  const reader: MeshReader = {
    settings: { trustDomain: "t", domainSuffix: "cluster.local", rootNamespace: "root" },
    catalog: {
      service: (namespace, name) =>
        namespace === "default" && name === "reviews"
          ? {
              name,
              namespace,
              ports: [{ number: 9080, name: "http", protocol: "http" }],
              portless: false,
              instances: [],
            }
          : undefined,
      services: () => [],
    },
    objects: (_group, kind) => [...objects.values()].filter((object) => object.kind === kind),
  };
  const index = { get: () => objects.get("reviews"), onChange: changes.event };
  const statuses = new RouteStatuses({ reader, index, clock });
  const put = (object: MeshObject | undefined) => {
    if (object === undefined) objects.delete("reviews");
    else objects.set("reviews", object);
    changes.emit({ keys: [KEY], revision: 1 });
  };
  const parents = () => {
    const status = statuses.statusOf(KEY);
    return status !== undefined && "parents" in status ? status.parents : undefined;
  };
  const conditions = () =>
    parents()?.flatMap((parent) =>
      parent.conditions.map(
        ({ type, status, observedGeneration, lastTransitionTime }) =>
          `${type}=${status} ${observedGeneration} ${Date.parse(lastTransitionTime) / 1000}`,
      ),
    );
  return { clock, statuses, put, conditions, parents };
}

test("a condition keeps the time since when it is what it is, over generations and readings", async () => {
  const { clock, put, conditions, parents } = world();
  const start = Math.floor(clock.now() / 1000);
  put(route("a", 1, 9080));
  expect(parents()?.[0]).toMatchObject({
    controllerName: "tulle.dev/mesh-controller",
    parentRef: { kind: "Service", group: "", name: "reviews" },
  });
  expect(conditions()).toEqual([`Accepted=True 1 ${start}`, `ResolvedRefs=True 1 ${start}`]);
  await clock.advance(10_000);
  put(route("a", 2, 1));
  expect(conditions()).toEqual([`Accepted=True 2 ${start}`, `ResolvedRefs=False 2 ${start + 10}`]);
  await clock.advance(10_000);
  expect(conditions()).toEqual([`Accepted=True 2 ${start}`, `ResolvedRefs=False 2 ${start + 10}`]);
});

test("an object of the same name that came later starts anew, and one that went has no status", async () => {
  const { clock, statuses, put, conditions } = world();
  const start = Math.floor(clock.now() / 1000);
  put(route("a", 1, 9080));
  conditions();
  put(undefined);
  expect(statuses.statusOf(KEY)).toBeUndefined();
  await clock.advance(5_000);
  put(route("b", 1, 9080));
  expect(conditions()).toEqual([`Accepted=True 1 ${start + 5}`, `ResolvedRefs=True 1 ${start + 5}`]);
});
