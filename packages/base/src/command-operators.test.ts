import fc from "fast-check";
import { expect, test } from "vitest";
import { splitFormat, unknownOperator } from "./command-operators.js";

test("splitFormat takes a format apart", () => {
  expect(splitFormat("a %REQ(x?y):8% 100%% %b")).toEqual([
    "a ",
    { name: "REQ", argument: "x?y", length: 8 },
    " 100%% %b",
  ]);
});

test("splitFormat loses nothing, whatever it is given", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("%", "%%", "%REQ(a)%", "%START_TIME(%s)%", "(", ")", ":9%"),
  );
  fc.assert(
    fc.property(fc.array(piece), (parts) => {
      const format = parts.join("");
      const joined = splitFormat(format).map((each) => {
        if (typeof each === "string") return each;
        const argument = each.argument === undefined ? "" : `(${each.argument})`;
        return `%${each.name}${argument}${each.length === undefined ? "" : ":"}`;
      });
      for (const each of joined) expect(format).toContain(each);
    }),
  );
});

test.each([
  ["plain", undefined],
  ["100%%", undefined],
  ["%PROTOCOL%", undefined],
  ["%START_TIME(%Y)%", undefined],
  ["100%", "%"],
  ["%ENVIRONMENT(A)%", "%ENVIRONMENT%"],
])("unknownOperator of %s is %s", (value, expected) => {
  expect(unknownOperator(value)).toBe(expected);
});
