import { expect, test } from "vitest";

import { KINDS } from "../kinds.js";
import { customResourceDefinition, OWN_GROUP } from "./definition.js";
import type { StructuralSchema } from "./structural-schema.js";

const own = KINDS.filter(({ group }) => group === OWN_GROUP);

function specOf(name: string): StructuralSchema {
  const kind = own.find((one) => one.kind === name)!;
  const { spec } = customResourceDefinition(kind) as {
    spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: StructuralSchema } } } }[] };
  };
  return spec.versions[0]!.schema.openAPIV3Schema.properties.spec;
}

/** What Kubernetes would drop: fields that no schema names. */
function pruned(value: unknown, schema: StructuralSchema): unknown {
  if (schema["x-kubernetes-preserve-unknown-fields"] === true) return value;
  if (Array.isArray(value)) return value.map((item) => pruned(item, schema.items!));
  if (typeof value !== "object" || value === null) return value;
  const { properties, additionalProperties } = schema;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) => {
      const inner = properties?.[key] ?? additionalProperties;
      return inner === undefined ? [] : [[key, pruned(one, inner)]];
    }),
  );
}

const SPECS: Readonly<Record<string, object>> = {
  RateLimit: {
    host: "reviews",
    selector: { matchLabels: { version: "v2" } },
    limits: [
      {
        match: { uri: { prefix: "/a" }, headers: { "x-plan": {} } },
        requests: 5,
        interval: "1m",
        per: "SOURCE",
      },
    ],
  },
  HealthCheck: {
    host: "reviews",
    port: 80,
    interval: "5s",
    http: { path: "/health", expectedStatuses: ["200-299"] },
  },
  TrafficPolicy: { host: "reviews", hedging: { after: "50ms" }, adaptiveConcurrency: { percentile: 50 } },
  Runtime: { values: { "reviews.canary": 10, half: { numerator: 5000, denominator: "TEN_THOUSAND" } } },
  GrpcJsonTranscoder: {
    selector: { matchLabels: { app: "library" } },
    services: ["library.v1.Library"],
    descriptors: { configMap: { name: "library", key: "library.binpb" } },
    printOptions: { addWhitespace: true },
    maxRequestBodySize: 1024,
  },
  MeshConfig: {
    meshMTLS: { minProtocolVersion: "TLSV1_3" },
    defaultTrafficPolicy: {
      connectionPool: { http: { http2MaxRequests: 10 }, tcp: { tcpKeepalive: { time: "1s" } } },
      outlierDetection: { consecutive5xxErrors: 3 },
    },
    extensionProviders: [
      { name: "a", envoyExtAuthzGrpc: { service: "a.default.svc.cluster.local", port: 1, failOpen: true } },
    ],
  },
};

test.each(own.map(({ kind }) => kind))("Kubernetes keeps every field of a %s", (name) => {
  const kind = own.find((one) => one.kind === name)!;
  const spec = SPECS[name] ?? expect.unreachable(`write an example of ${name} here`);
  expect(kind.check({ spec, metadata: { namespace: "istio-system" } })).toMatchObject({ ok: true });
  expect(pruned(spec, specOf(name))).toEqual(spec);
});

test.each(own.map(({ kind }) => kind))("the schema of a %s is one that Kubernetes takes", (name) => {
  const ALLOWED = [
    "type",
    "properties",
    "additionalProperties",
    "items",
    "required",
    "enum",
    "minItems",
    "maxItems",
  ];
  let parts = 0;
  const check = (schema: StructuralSchema): void => {
    parts++;
    if (schema["x-kubernetes-preserve-unknown-fields"] === true) return;
    expect(["object", "array", "string", "number", "integer", "boolean"]).toContain(schema.type);
    expect(ALLOWED).toEqual(expect.arrayContaining(Object.keys(schema)));
    expect(schema.properties === undefined || schema.additionalProperties === undefined).toBe(true);
    for (const field of schema.required ?? []) expect(schema.properties).toHaveProperty([field]);
    for (const inner of Object.values(schema.properties ?? {})) check(inner);
    if (schema.additionalProperties !== undefined) check(schema.additionalProperties);
    if (schema.type === "array") check(schema.items!);
  };
  check(specOf(name));
  expect(parts).toBeGreaterThan(1);
});

test("a definition has Kubernetes' names", () => {
  const kind = own.find((one) => one.kind === "RateLimit")!;
  expect(customResourceDefinition(kind)).toMatchObject({
    apiVersion: "apiextensions.k8s.io/v1",
    metadata: { name: "ratelimits.tulle.dev" },
    spec: {
      group: "tulle.dev",
      scope: "Namespaced",
      names: { kind: "RateLimit", listKind: "RateLimitList", plural: "ratelimits", shortNames: ["rl"] },
      versions: [{ name: "v1", served: true, storage: true, subresources: { status: {} } }],
    },
  });
  expect(specOf("RateLimit")).toMatchObject({
    properties: {
      direction: { type: "string", enum: ["INBOUND", "OUTBOUND"] },
      limits: { type: "array", minItems: 1, maxItems: 64, items: { required: ["requests", "interval"] } },
    },
  });
});
