import fc from "fast-check";
import { expect, test } from "vitest";
import { regexProblem } from "./regex-syntax.js";

test.each([
  "",
  "/v[0-9]+/.*",
  "(?i)abc",
  "(?i:abc)?",
  "(?:a|b){2,3}?",
  "(?P<name>a)",
  "(?<name>a)+",
  "[]a]",
  "[^]a]*",
  "[[:alpha:]]+",
  "a{,3}",
  "a{",
  "\\d+\\.\\[",
  "\\Qa(b\\E+",
  "^$",
  "x*?y+?z??",
])("regexProblem finds nothing wrong with %j", (regex) => {
  expect(regexProblem(regex)).toBeUndefined();
});

test.each([
  ["(?=a)", "looks ahead"],
  ["(?!a)", "looks ahead"],
  ["(?<=a)b", "looks ahead or behind"],
  ["(?<!a)b", "looks ahead or behind"],
  ["(a)\\1", "back-reference"],
  ["(?<x>a)\\k<x>", "back-reference"],
  ["(a", 'without ")"'],
  ["a)", 'without "("'],
  ["[a", 'without "]"'],
  ["*a", "nothing to repeat"],
  ["a|*", "nothing to repeat"],
  ["a**", "nothing to repeat"],
  ["a{1001}", "beyond 1000"],
  ["a{3,2}", "beyond"],
  ["a\\", "backslash"],
])("regexProblem says what is wrong with %j", (regex, problem) => {
  expect(regexProblem(regex)).toContain(problem);
});

test("regexProblem ends on any text", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."()[]{}?*+|\\^-:<>=!Pk1Qaz,".split("")), maxLength: 40 }),
      (regex) => {
        const problem = regexProblem(regex);
        expect(problem === undefined || problem.length > 0).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});
