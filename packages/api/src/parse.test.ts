import fc from "fast-check";
import { expect, test } from "vitest";
import { parseObjects } from "./parse.js";
import { formatProblem } from "./source/position.js";
import { MAX_SOURCE_LENGTH } from "./source/yaml.js";

const VS = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n";

function problems(text: string): string[] {
  return parseObjects(text, "f.yaml").problems.map(formatProblem);
}

test("parseObjects reads documents in order, skips empty ones and knows where each begins", () => {
  const { objects, problems } = parseObjects(
    `# only a comment\n---\n${VS}---\n\n---\n# second\n${VS}`,
    "f.yaml",
  );
  expect(problems).toEqual([]);
  expect(objects.map(({ kind, version, line, column }) => [kind.kind, version, line, column])).toEqual([
    ["VirtualService", "v1", 3, 1],
    ["VirtualService", "v1", 10, 1],
  ]);
});

test("parseObjects reads JSON", () => {
  const text = '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}';
  expect(parseObjects(text, "f.json").objects).toMatchObject([{ object: { metadata: { name: "shop" } } }]);
});

test("a document locates a violation's path, or the nearest part that is there", () => {
  const { objects } = parseObjects(
    `${VS}spec:\n  hosts: [a]\n  http:\n  - timeout: 5\n    match:\n    - headers:\n        "x.y": {}\n`,
    "f.yaml",
  );
  const at = (path: string) => {
    const { line, column } = objects[0]?.at(path) ?? { line: 0, column: 0 };
    return [line, column];
  };
  expect(at("spec.http[0].timeout")).toEqual([7, 5]);
  expect(at('spec.http[0].match[0].headers["x.y"].exact')).toEqual([10, 9]);
  expect(at("spec.http[0].route")).toEqual([7, 5]);
  expect(at("spec.tcp")).toEqual([4, 1]);
  expect(at("")).toEqual([1, 1]);
});

test("parseObjects expands lists of both forms, each item with its own position", () => {
  const text = `apiVersion: v1\nkind: List\nitems:\n- ${VS.trim().replaceAll("\n", "\n  ")}\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n`;
  const { objects, problems } = parseObjects(text, "f.yaml");
  expect(problems).toEqual([]);
  expect(objects.map(({ kind, line }) => [kind.kind, line])).toEqual([
    ["VirtualService", 4],
    ["Namespace", 7],
  ]);
  const typed =
    "apiVersion: networking.istio.io/v1beta1\nkind: DestinationRuleList\nitems: [{spec: {host: a}}]\n";
  expect(parseObjects(typed, "f.yaml").objects).toMatchObject([
    { version: "v1beta1", object: { kind: "DestinationRule", spec: { host: "a" } } },
  ]);
});

test("parseObjects follows anchors and merge keys as kubectl does", () => {
  const text = `${VS}spec:\n  base: &base {a: 1, b: 2}\n  own: {<<: *base, b: 3}\n`;
  expect(parseObjects(text, "f.yaml").objects[0]?.object["spec"]).toEqual({
    base: { a: 1, b: 2 },
    own: { a: 1, b: 3 },
  });
});

test.each<[string, string, string]>([
  ["no object", "- a\n", "f.yaml:1:1: is not an object"],
  ["no apiVersion", "\nkind: VirtualService\n", "f.yaml:2:1: has no apiVersion"],
  ["no kind", "apiVersion: v1\n", "f.yaml:1:1: has no kind"],
  [
    "a misspelt kind",
    "apiVersion: networking.istio.io/v1\nkind: VirtualServce\n",
    'f.yaml:1:1: kind "VirtualServce" of "networking.istio.io" is not known here; did you mean VirtualService?',
  ],
  [
    "the wrong group",
    "apiVersion: v1\nkind: VirtualService\n",
    "f.yaml:1:1: has the wrong group: a VirtualService has apiVersion networking.istio.io/v1",
  ],
  [
    "an unknown version",
    "apiVersion: security.istio.io/v9\nkind: PeerAuthentication\n",
    "can be written in security.istio.io/v1, security.istio.io/v1beta1",
  ],
  ["a key twice", `${VS}spec:\n  a: 1\n  a: 2\n`, 'f.yaml:6:3: has the key "a" already'],
  ["bad syntax", `${VS}spec: {\n---\n${VS}`, "f.yaml:5:1: is not valid YAML"],
  ["an unknown alias", `${VS}spec: *nobody\n`, "f.yaml:4:7: "],
  ["a key that is a list", `${VS}? [a]\n: b\n`, "f.yaml:4:3: is a key that is not a plain word"],
])("parseObjects reports %s with file, line and column", (_what, text, expected) => {
  expect(problems(text).join("\n")).toContain(expected);
});

test("parseObjects keeps the good documents beside a bad one", () => {
  const { objects, problems } = parseObjects(`${VS}---\na: [\n---\n${VS}`, "f.yaml");
  expect(objects).toHaveLength(2);
  expect(problems).not.toEqual([]);
});

test("parseObjects ends a bomb of aliases at its limit", () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 12; level++) {
    lines.push(`a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(", ")}]`);
  }
  expect(problems(`${VS}spec:\n  ${lines.join("\n  ")}\n`)).toEqual([
    expect.stringContaining("stands for more than 1000000 values"),
  ]);
});

test("parseObjects ends an alias to its own anchor", () => {
  expect(problems(`${VS}spec: &a {self: *a}\n`)).not.toEqual([]);
});

test("parseObjects refuses texts that are too long or nested too deeply", () => {
  expect(problems("a".repeat(MAX_SOURCE_LENGTH + 1))).toEqual([
    expect.stringContaining("is longer than 10 MiB"),
  ]);
  expect(problems(`${VS}spec: ${"[".repeat(100)}${"]".repeat(100)}\n`)).toEqual([
    expect.stringContaining("is nested deeper than 64 levels"),
  ]);
  expect(problems(`${VS}spec: ${"[".repeat(200_000)}`)).not.toEqual([]);
});

test("parseObjects reads a map of very many keys in linear time", () => {
  const keys = Array.from({ length: 50_000 }, (_, index) => `k${index}: 1\n`).join("");
  const start = performance.now();
  const { objects } = parseObjects(`${VS}${keys}`, "f.yaml");
  expect(Object.keys(objects[0]?.object ?? {})).toHaveLength(50_003);
  expect(performance.now() - start).toBeLessThan(10_000);
});

test("parseObjects keeps a key __proto__ as data", () => {
  const { objects } = parseObjects(`${VS}__proto__: {polluted: true}\n`, "f.yaml");
  const [first] = objects;
  expect(first).toBeDefined();
  expect(first?.object["polluted"]).toBeUndefined();
  expect(Object.keys(first?.object ?? {})).toContain("__proto__");
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

test("parseObjects never throws, whatever the text", () => {
  const token = fc.constantFrom(
    "a",
    "b: ",
    "- ",
    "\n",
    "  ",
    "---\n",
    "{",
    "}",
    "[",
    "]",
    "&x ",
    "*x",
    "<<: ",
    "!!map ",
    "|\n",
    '"',
    "'",
    "? ",
    ": ",
    "%YAML 1.1\n",
    "#",
    "...\n",
    "\t",
    VS,
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(token, fc.string({ maxLength: 4 })), { maxLength: 30 }), (parts) => {
      const { objects, problems } = parseObjects(parts.join(""), "f.yaml");
      for (const { line, column } of [...objects, ...problems]) {
        expect(line).toBeGreaterThan(0);
        expect(column).toBeGreaterThan(0);
      }
    }),
    { numRuns: 1000 },
  );
});
