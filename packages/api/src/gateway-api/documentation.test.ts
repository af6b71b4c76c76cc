import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseObjects } from "../parse.js";

const page = readFileSync(new URL("../../../../docs/gateway-api.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? "");

test("every example of docs/gateway-api.md is valid, and there is one of each kind", () => {
  const kinds = examples.flatMap((yaml) => {
    const { objects, problems } = parseObjects(yaml, "docs/gateway-api.md");
    expect(problems).toEqual([]);
    return objects.map(({ kind, object }) => {
      expect(kind.check(object)).toMatchObject({ ok: true, warnings: [] });
      return kind.kind;
    });
  });
  expect(new Set(kinds)).toEqual(
    new Set(["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "ReferenceGrant", "Gateway"]),
  );
});
