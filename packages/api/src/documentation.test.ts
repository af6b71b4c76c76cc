import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseObjects } from "./parse.js";

test.each([
  [
    "gateway-api.md",
    ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "ReferenceGrant", "Gateway", "ListenerSet"],
  ],
  [
    "kuma.md",
    [
      "MeshHTTPRoute",
      "MeshTCPRoute",
      "MeshLoadBalancingStrategy",
      "MeshRateLimit",
      "MeshTimeout",
      "MeshCircuitBreaker",
    ],
  ],
])("every example of docs/%s is valid, and there is one of each kind", (name, expected) => {
  const page = readFileSync(new URL(`../../../docs/${name}`, import.meta.url), "utf8");
  const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? "");
  const kinds = examples.flatMap((yaml) => {
    const { objects, problems } = parseObjects(yaml, name);
    expect(problems).toEqual([]);
    return objects.map(({ kind, object }) => {
      expect(kind.check(object)).toMatchObject({ ok: true, warnings: [] });
      return kind.kind;
    });
  });
  expect(new Set(kinds)).toEqual(new Set(expected));
});
