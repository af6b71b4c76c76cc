import fc from "fast-check";
import { expect, test } from "vitest";
import { checkMetadata } from "./metadata.js";
import { namespaceKind } from "./namespace/kind.js";
import { virtualServiceKind } from "./virtual-service/kind.js";

function violations(raw: unknown, kind: Parameters<typeof checkMetadata>[0] = virtualServiceKind): string[] {
  const checked = checkMetadata(kind, raw);
  return checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
}

test("checkMetadata keeps what users write and ignores what the server writes", () => {
  const raw = {
    name: "reviews.v1",
    namespace: "shop",
    creationTimestamp: null,
    generation: 7,
    managedFields: [{}],
    labels: { "app.kubernetes.io/name": "reviews", empty: "" },
    annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}\n", "Example.com/A": "b" },
    finalizers: ["example.com/cleanup"],
    ownerReferences: [{ uid: "1" }],
    resourceVersion: "12",
    uid: "u",
  };
  const { creationTimestamp: _time, generation: _generation, managedFields: _fields, ...kept } = raw;
  expect(checkMetadata(virtualServiceKind, raw)).toEqual({ ok: true, metadata: kept });
});

test("checkMetadata puts objects that name no namespace into the one asked for", () => {
  const at = (namespace?: string) =>
    checkMetadata(virtualServiceKind, { name: "a" }, namespace === undefined ? {} : { namespace });
  expect(at()).toMatchObject({ metadata: { namespace: "default" } });
  expect(at("shop")).toMatchObject({ metadata: { namespace: "shop" } });
  expect(checkMetadata(namespaceKind, { name: "shop" }, { namespace: "x" })).toMatchObject({
    metadata: { namespace: "" },
  });
});

test.each<[unknown, string]>([
  [undefined, "metadata: is required"],
  [[], "metadata: expected an object, got a list"],
  [{}, "metadata.name: is required"],
  [{ name: "Reviews" }, "metadata.name: expected 1 to 253 lower-case letters, digits, '-' and '.'"],
  [{ name: "a".repeat(254) }, "metadata.name: expected"],
  [{ name: "../a" }, "metadata.name: expected"],
  [{ name: 5 }, "metadata.name: expected a string, got the number 5"],
  [{ generateName: "-a" }, "metadata.generateName: expected the beginning of a name"],
  [{ name: "a", namespace: "a.b" }, "metadata.namespace: expected a namespace"],
  [{ name: "a", labels: { "a b": "c" } }, 'metadata.labels["a b"]: expected a label key'],
  [{ name: "a", labels: { a: "b c" } }, "metadata.labels.a: expected a label value"],
  [{ name: "a", labels: { a: 1 } }, "metadata.labels.a: expected a string, got the number 1"],
  [{ name: "a", annotations: { a: "x".repeat(262_144) } }, "metadata.annotations: have 262145 characters"],
  [{ name: "a", finalizers: ["a b"] }, "metadata.finalizers[0]: expected a name"],
])("checkMetadata refuses %.60j", (raw, expected) => {
  expect(violations(raw).join("\n")).toContain(expected);
});

test("checkMetadata refuses a namespace's dots and a namespace for a cluster-scoped object", () => {
  expect(violations({ name: "a.b", namespace: "c" }, namespaceKind)).toEqual([
    "metadata.name: expected 1 to 63 lower-case letters, digits and '-', beginning and ending with a letter or digit, got \"a.b\"",
    "metadata.namespace: cannot be given: a Namespace is in no namespace",
  ]);
});

test("checkMetadata never throws, whatever it gets", () => {
  const field = fc.constantFrom(
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
  );
  fc.assert(
    fc.property(fc.dictionary(field, fc.jsonValue()), (raw) => {
      const checked = checkMetadata(virtualServiceKind, raw);
      expect(checked.ok || checked.violations.every(({ path }) => path.startsWith("metadata"))).toBe(true);
    }),
  );
});
