import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseObjects } from "../parse.js";

const read = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8");
const examples = [...read("docs/gateways.md").matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(
  (match) => match[1] ?? "",
);

test("every example of docs/gateways.md and of examples/gateway is valid", () => {
  for (const yaml of [...examples, read("examples/gateway/shop.yaml")]) {
    const { objects, problems } = parseObjects(yaml, "example");
    expect(problems).toEqual([]);
    expect(objects.map(({ kind }) => kind.kind)).toContain("Gateway");
    for (const { kind, object } of objects)
      expect(kind.check(object)).toMatchObject({ ok: true, warnings: [] });
  }
});
