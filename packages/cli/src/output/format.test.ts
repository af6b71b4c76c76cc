import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";

import { renderStructured, renderYaml } from "./format.js";

// What a terminal may obey; line breaks and tabs it may have.
// oxlint-disable-next-line no-control-regex -- control characters are what this finds
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

test("renderStructured gives documents that read back as they were, and nothing that a terminal obeys", async () => {
  const text = fc.string({
    unit: fc.constantFrom(
      "a",
      " ",
      "\n",
      "\t",
      "\r",
      ":",
      "#",
      '"',
      "'",
      "\u001b",
      "\u0000",
      "\u009b",
      "\u007f",
      "é",
    ),
  });
  const value = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text)));
  await fc.assert(
    fc.asyncProperty(value, async (written) => {
      const plain: unknown = JSON.parse(JSON.stringify(written));
      const json = await renderStructured("json", written);
      const yaml = await renderStructured("yaml", written);
      expect(JSON.parse(json)).toEqual(plain);
      expect(parse(yaml)).toEqual(plain);
      expect(json).not.toMatch(CONTROL);
      expect(yaml).not.toMatch(CONTROL);
    }),
    { numRuns: 300 },
  );
});

test("renderYaml leaves long texts on one line and repeats what is shared", async () => {
  const shared = { a: "word ".repeat(40).trim() };
  expect((await renderYaml({ x: shared, y: shared })).split("\n")).toEqual([
    "x:",
    `  a: ${shared.a}`,
    "y:",
    `  a: ${shared.a}`,
    "",
  ]);
});
