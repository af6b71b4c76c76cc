import fc from "fast-check";
import { expect, test } from "vitest";
import { filterProblem, parseFilter, type FilterSubject } from "./filter.js";

const V2: FilterSubject = {
  service: "web",
  address: "10.0.0.7",
  port: 8080,
  tags: ["v2", "canary"],
  meta: { version: "v2", "build-id": "17", empty: "" },
};

test.each([
  ["", true],
  ["Service.Meta.version == v2", true],
  ['Service.Meta.version == "v2"', true],
  ["Service.Meta.version == `v2`", true],
  ["Service.Meta.version != v2", false],
  ["Service.Meta.missing == v2", false],
  ["Service.Meta.missing != v2", true],
  ['Service.Meta["build-id"] == 17', true],
  ["Service.Meta.build-id == 17", true],
  ['"canary" in Service.Tags', true],
  ["canary in Service.Tags", true],
  ["v1 not in Service.Tags", true],
  ["Service.Tags contains canary", true],
  ["Service.Tags not contains canary", false],
  ["Service.Tags is empty", false],
  ["Service.Tags is not empty", true],
  ["Service.Meta.empty is empty", true],
  ["Service.Meta.missing is empty", true],
  ["version in Service.Meta", true],
  ["Service.Meta contains nothing", false],
  ["Service.Meta.version contains 2", true],
  ["Service.Port == 8080 and Service.Address == 10.0.0.7", true],
  ["Service.Service == web and not Service.Meta.version == v2", false],
  // `and` binds tighter than `or`.
  ["Service.Port == 8080 or Service.Port == 1 and Service.Port == 2", true],
  ["(Service.Port == 8080 or Service.Port == 1) and Service.Port == 2", false],
  ["not (not (Service.Meta.version == v2))", true],
  ['Service.Meta.version == "not"', false],
])("%s selects: %s", (filter, expected) => {
  expect(parseFilter(filter)(V2)).toBe(expected);
});

test.each([
  ["Service.Meta.version", 'expected "==", "!=", "is empty", "contains" or "in", got the end'],
  ["Service.Meta.version ==", "expected a value, got the end"],
  ["Service.Meta.version = v1", 'has an unexpected "=" at character 22'],
  ["Service.Tags == v1", "compares a list with ==: use in or contains"],
  ["Service.Meta.version matches `v.*`", "regular expressions are not carried out"],
  ["Node.Meta.zone == a", 'names "Node.Meta.zone": subsets select by Service.Meta'],
  ["(Service.Port == 1", 'expected ")", got the end'],
  ["Service.Port == 1 Service.Port", 'expected "and", "or" or the end'],
  ['"v1" in', "expected a field such as Service.Meta.version, got the end"],
  ['Service.Meta["a" == b', 'expected "]"'],
  ["(".repeat(40), "is nested deeper than 16 levels"],
  ["not ".repeat(40), "is nested deeper than 16 levels"],
  [
    Array.from({ length: 70 }, () => "a in Service.Tags")
      .join(" or ")
      .slice(0, 2000),
    "is longer than 1024",
  ],
])("%s is refused with words", (filter, message) => {
  expect(filterProblem(filter)).toContain(message);
});

interface Expression {
  readonly text: string;
  readonly holds: boolean;
}

const key = fc.constantFrom("version", "build-id", "missing", "empty");
const value = fc.constantFrom("v1", "v2", "17", "and", 'it\'s (not) "x"', "");
const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    fc.tuple(key, value, fc.boolean()).map(([name, wanted, negated]) => ({
      text: `Service.Meta["${name}"] ${negated ? "!=" : "=="} ${JSON.stringify(wanted)}`,
      holds: (V2.meta[name] === wanted) !== negated,
    })),
    fc.tuple(value, fc.boolean()).map(([wanted, negated]) => ({
      text: `${JSON.stringify(wanted)} ${negated ? "not in" : "in"} Service.Tags`,
      holds: V2.tags.includes(wanted) !== negated,
    })),
    tie("expression").map(({ text, holds }) => ({ text: `not (${text})`, holds: !holds })),
    fc.tuple(tie("expression"), tie("expression"), fc.boolean()).map(([a, b, both]) => ({
      text: `(${a.text}) ${both ? "and" : "or"} (${b.text})`,
      holds: both ? a.holds && b.holds : a.holds || b.holds,
    })),
  ),
}));

test("every expression means what its parts mean", () => {
  fc.assert(
    fc.property(expression, ({ text, holds }) => {
      fc.pre(text.length <= 1024);
      expect(parseFilter(text)(V2)).toBe(holds);
    }),
    { numRuns: 500 },
  );
});

test("no text does anything but be read or be refused", () => {
  const soup = fc
    .array(
      fc.constantFrom(
        "Service.Meta.a",
        "==",
        "(",
        ")",
        "not",
        "in",
        "and",
        "[",
        "]",
        '"',
        "`",
        "\\",
        "é",
        " ",
      ),
      {
        maxLength: 30,
      },
    )
    .map((words) => words.join(" "));
  fc.assert(
    fc.property(fc.oneof(soup, fc.string()), (text) => {
      const problem = filterProblem(text);
      if (problem === undefined) expect(typeof parseFilter(text)(V2)).toBe("boolean");
      else expect(problem).toMatch(/^the filter /);
    }),
    { numRuns: 500 },
  );
});
