import { expect, test } from "vitest";
import { fromWire, toWire } from "./convert.js";
import type { MeshObject } from "./kind.js";
import { namespaceKind } from "./namespace/kind.js";
import { secretKind } from "./secret/kind.js";
import { virtualServiceKind } from "./virtual-service/kind.js";

const metadata = {
  name: "reviews",
  namespace: "shop",
  uid: "u",
  resourceVersion: "3",
  generation: 2,
  creationTimestamp: "2026-01-01T00:00:00Z",
};

test("toWire says the version that was asked for", () => {
  const object: MeshObject = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata,
    spec: { hosts: ["a"] },
  };
  expect(toWire(virtualServiceKind, object, "v1beta1", { conditions: [] })).toEqual({
    apiVersion: "networking.istio.io/v1beta1",
    kind: "VirtualService",
    metadata,
    spec: { hosts: ["a"] },
    status: { conditions: [] },
  });
  expect(fromWire(toWire(virtualServiceKind, object, "v1"))).toEqual(object);
});

test("toWire leaves out an empty namespace and adds the kind's own status", () => {
  const object: MeshObject = {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { ...metadata, namespace: "" },
    spec: {},
  };
  const wire = toWire(namespaceKind, object, "v1");
  expect(wire.metadata).not.toHaveProperty("namespace");
  expect(wire).toMatchObject({ spec: {}, status: { phase: "Active" } });
});

test("toWire writes the parts of a kind without spec beside the metadata", () => {
  const extra = { data: { a: "YQ==" }, type: "Opaque" };
  const object: MeshObject = { apiVersion: "v1", kind: "Secret", metadata, spec: {}, extra };
  const { generation: _generation, ...shown } = metadata;
  const wire = toWire(secretKind, object, "v1");
  expect(wire).toEqual({ apiVersion: "v1", kind: "Secret", metadata: shown, ...extra });
  expect(fromWire(wire).extra).toEqual(extra);
});
