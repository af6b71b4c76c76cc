import fc from "fast-check";
import { expect, test } from "vitest";
import { parseObjects } from "../parse.js";

test("Kuma's universal form stands for the same object as its Kubernetes form", () => {
  const { objects, problems } = parseObjects(
    `type: MeshTCPRoute
mesh: default
name: db
labels: {k8s.kuma.io/namespace: shop, team: a}
creationTime: 2026-01-01T00:00:00Z
spec:
  to: [{targetRef: {kind: MeshService, name: db}, rules: [{default: {}}]}]
`,
    "db.yaml",
  );
  expect(problems).toEqual([]);
  const [found] = objects;
  expect(found?.object).toEqual({
    apiVersion: "kuma.io/v1alpha1",
    kind: "MeshTCPRoute",
    metadata: {
      name: "db",
      namespace: "shop",
      labels: { "k8s.kuma.io/namespace": "shop", team: "a", "kuma.io/mesh": "default" },
    },
    spec: { to: [{ targetRef: { kind: "MeshService", name: "db" }, rules: [{ default: {} }] }] },
  });
  expect(found?.kind.check(found.object)).toMatchObject({ ok: true });
  expect(found?.at("spec.to[0].targetRef")).toMatchObject({ line: 7 });
});

test.each([
  ["type: MeshNothing\nname: a\n", /kind "MeshNothing" of "kuma.io"/],
  ["type: MeshHTTPRuote\nname: a\n", /did you mean MeshHTTPRoute/],
])("%j is refused by the name of its type", (text, message) => {
  expect(parseObjects(text, "a.yaml").problems).toEqual([
    expect.objectContaining({ message: expect.stringMatching(message) as string }),
  ]);
});

test("what comes in the universal form never throws, and another mesh is refused", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (name, labels, spec) => {
      const text = JSON.stringify({ type: "MeshHTTPRoute", mesh: "other", name, labels, spec });
      for (const { object, kind } of parseObjects(text, "a.yaml").objects) {
        expect(kind.check(object).ok).toBe(false);
      }
    }),
  );
});
