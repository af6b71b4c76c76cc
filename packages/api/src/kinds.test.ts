import fc from "fast-check";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  findKindByApiVersion,
  findKindByPlural,
  KINDS,
  parseApiVersion,
  parseObjects,
  resolveKindName,
  type MeshObject,
} from "./index.js";
import { parsePath, formatPath } from "./schema/path.js";

const canary = readFileSync(new URL("./testdata/canary.yaml", import.meta.url), "utf8");

test("the textbook canary passes verbatim, with one warning for its deprecated field", () => {
  const { objects, problems } = parseObjects(canary, "canary.yaml");
  expect(problems).toEqual([]);
  const checked = objects.map(({ kind, object }) => kind.check(object));
  expect(checked.map(({ ok }) => ok)).toEqual([true, true]);
  expect(checked.flatMap(({ warnings }) => warnings)).toEqual([
    "spec.trafficPolicy.outlierDetection.consecutiveErrors is deprecated; it is kept as consecutive5xxErrors",
  ]);
  expect(checked[1]).toMatchObject({
    spec: {
      trafficPolicy: {
        outlierDetection: { consecutive5xxErrors: 5, interval: "30s", baseEjectionTime: "30s" },
      },
    },
  });
});

test("KINDS has unique names, plurals and short names in each group", () => {
  for (const group of new Set(KINDS.map((kind) => kind.group))) {
    const names = KINDS.filter((kind) => kind.group === group).flatMap(({ kind, plural, shortNames }) => [
      kind,
      plural,
      ...shortNames,
    ]);
    expect(new Set(names).size).toBe(names.length);
  }
  for (const kind of KINDS) expect(kind.versions).toContain(kind.storageVersion);
});

test("lookups find a kind when its group serves the version, and nothing else", () => {
  expect(findKindByPlural("networking.istio.io", "v1alpha3", "virtualservices")?.kind).toBe("VirtualService");
  expect(findKindByPlural("security.istio.io", "v1alpha3", "peerauthentications")).toBeUndefined();
  expect(findKindByPlural("", "v1", "secrets")?.kind).toBe("Secret");
  expect(findKindByApiVersion("security.istio.io/v1beta1", "PeerAuthentication")?.plural).toBe(
    "peerauthentications",
  );
  expect(findKindByApiVersion("v1", "VirtualService")).toBeUndefined();
  expect(findKindByApiVersion("a/b/c", "VirtualService")).toBeUndefined();
  expect(parseApiVersion("/v1")).toBeUndefined();
});

test("resolveKindName takes plural, singular, kind, short name and group in any case", () => {
  for (const name of ["vs", "VirtualService", "virtualservices", "virtualservice.networking.istio.io"]) {
    expect(resolveKindName(name)?.kind).toBe("VirtualService");
  }
  expect(resolveKindName("pods")).toBeUndefined();
});

test("columns show cells in the order of Istio's definitions and kubectl's", () => {
  const now = Date.parse("2026-01-01T00:05:00Z");
  const cells = (name: string, part: Partial<MeshObject>) => {
    const kind = resolveKindName(name);
    const object: MeshObject = {
      apiVersion: "",
      kind: name,
      metadata: {
        name: "x",
        namespace: "default",
        uid: "",
        resourceVersion: "1",
        generation: 1,
        creationTimestamp: "2026-01-01T00:00:00Z",
      },
      spec: {},
      ...part,
    };
    return kind?.columns.map((column) => `${column.name}=${column.cell(object, now)}`);
  };
  expect(cells("vs", { spec: { hosts: ["a", "b"] } })).toEqual(["Gateways=", 'Hosts=["a","b"]', "Age=5m"]);
  expect(cells("dr", { spec: { host: "a" } })).toEqual(["Host=a", "Age=5m"]);
  expect(cells("se", { spec: { hosts: ["a"], location: "MESH_EXTERNAL", resolution: "DNS" } })).toEqual([
    'Hosts=["a"]',
    "Location=MESH_EXTERNAL",
    "Resolution=DNS",
    "Age=5m",
  ]);
  expect(cells("we", { spec: { address: "10.0.0.1" } })).toEqual(["Age=5m", "Address=10.0.0.1"]);
  expect(cells("pa", { spec: { mtls: { mode: "STRICT" } } })).toEqual(["Mode=STRICT", "Age=5m"]);
  expect(cells("ap", { spec: { action: "DENY" } })).toEqual(["Action=DENY", "Age=5m"]);
  expect(cells("ns", {})).toEqual(["Status=Active", "Age=5m"]);
  expect(cells("secret", { extra: { type: "Opaque", data: { a: "", b: "" } } })).toEqual([
    "Type=Opaque",
    "Data=2",
    "Age=5m",
  ]);
  const event = {
    involvedObject: { kind: "VirtualService", name: "reviews" },
    lastTimestamp: "2026-01-01T00:04:30Z",
    type: "Warning",
    reason: "Rejected",
    message: "a proxy refused it\n",
  };
  expect(cells("ev", { extra: event })).toEqual([
    "Last Seen=30s",
    "Type=Warning",
    "Reason=Rejected",
    "Object=virtualservice/reviews",
    "Message=a proxy refused it",
  ]);
});

/** JSON with the field names of all kinds, so that deep parts of the schemas are reached. */
const FIELDS =
  "spec hosts host http tls tcp route match destination weight subset port number headers request response set add remove " +
  "exact prefix regex uri method queryParams trafficPolicy loadBalancer simple consistentHash httpCookie ttl warmup " +
  "localityLbSetting distribute from to connectionPool outlierDetection consecutiveErrors subsets labels portLevelSettings " +
  "endpoints ports address resolution workloadSelector mtls mode portLevelMtls selector matchLabels data stringData type " +
  "involvedObject fault delay abort percent percentage mirror_percent corsPolicy allowOrigin appendHeaders retries attempts " +
  "redirect rewrite sniHosts exportTo __proto__ constructor toString";
const word = fc.oneof(fc.constantFrom(...FIELDS.split(" ")), fc.string({ maxLength: 8 }));
const { node: anyJson } = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom(
      "5s",
      "v1",
      "*",
      "a.b",
      "STATIC",
      "STRICT",
      "10.0.0.1",
      "",
      null,
      true,
      0,
      80,
      -1,
      1.5,
      70_000,
    ),
    fc.string({ maxLength: 12 }),
    fc.double(),
  ),
  node: fc.oneof(
    { depthSize: "medium", withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(word, tie("node"), { maxKeys: 6 }),
  ),
}));

test("check of every kind never throws and names well-formed paths, whatever JSON it gets", () => {
  fc.assert(
    fc.property(fc.nat(KINDS.length - 1), fc.dictionary(word, anyJson), anyJson, (index, rest, spec) => {
      const checked = KINDS[index]?.check({ ...rest, spec });
      if (checked === undefined || checked.ok) return;
      expect(checked.violations.length).toBeGreaterThan(0);
      expect(checked.violations.length).toBeLessThanOrEqual(101);
      for (const { path, message } of checked.violations) {
        expect(message).not.toBe("");
        expect(formatPath(parsePath(path))).toBe(path);
      }
    }),
    { numRuns: 1000 },
  );
});

test("check gives the same answer for what it has accepted, without warnings of rewriting", () => {
  const { objects } = parseObjects(canary, "canary.yaml");
  for (const { kind, object } of objects) {
    const first = kind.check(object);
    const again = first.ok ? kind.check({ ...object, spec: first.spec }) : first;
    expect(again).toEqual({ ...first, warnings: [] });
  }
});
