import fc from "fast-check";
import { expect, test } from "vitest";

import { Cel } from "./index.js";

const scope = { names: ["object", "oldObject"], variables: ["big", "list"] };

function evaluate(
  text: string,
  object: unknown = {},
  variables: Readonly<Record<string, string>> = {},
): unknown {
  const cel = new Cel();
  const compiled = Object.entries(variables).map(([name, expression]) => ({
    name,
    program: cel.compile(expression, scope),
  }));
  const program = cel.compile(text, scope);
  cel.startWrite();
  cel.start();
  return program.evaluate(cel.values({ object, oldObject: null }, compiled));
}

const object = {
  metadata: { name: "reviews", labels: { team: "shop" } },
  spec: { hosts: ["a.example.com", "b"], weight: 80, share: 0.5, http: [{ name: "x" }, {}], none: null },
};

test.each<[string, unknown]>([
  ["object.spec.weight + 1 == 81", true],
  ["object.spec.weight == 80.0 && object.spec.share < 1", true],
  ["object.spec.hosts.all(h, h.matches('^[a-z.]+$'))", true],
  ["object.spec.hosts.exists(h, h.endsWith('.example.com'))", true],
  ["object.spec.hosts.exists_one(h, h == 'b')", true],
  ["object.spec.http.filter(r, has(r.name)).map(r, r.name) == ['x']", true],
  ["has(object.spec.missing)", false],
  ["'team' in object.metadata.labels && object.metadata.labels['team'] == 'shop'", true],
  ["oldObject == null ? 'new' : 'old'", "new"],
  ["type(object.spec.hosts) == list && size(object.spec.hosts) == 2", true],
  ["'%s has %d'.format([object.metadata.name, object.spec.weight])", "reviews has 80"],
  ["object.spec.hosts.join(', ').upperAscii()", "A.EXAMPLE.COM, B"],
  ["'(?i)'.size() == 4 && 'ABC'.matches('(?i)b')", true],
  ["duration('90s') > duration('1m') && timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026", true],
  ["true || object.missing.field", true],
  ["[1, 2, 3].map(x, x * 2).filter(x, x > 2).size() == 2", true],
  ["variables.list.size() == 2 && variables.list.size() == 2", true],
  ["true || variables.big", true],
])("%s", (text, expected) => {
  expect(evaluate(text, object, { list: "object.spec.hosts", big: "object.missing" })).toBe(expected);
});

test.each<[string, string]>([
  ["object.spec.", "expecting"],
  ["objekt.spec == 1", "undeclared reference to objekt"],
  ["object.spec.all(x, y)", "undeclared reference to y"],
  ["nothing(object)", "there is no function nothing"],
  ["variables.other", "undeclared reference to variables.other"],
  ["has(variables.big)", "not supported"],
  ["variables", "undeclared reference to variables"],
  ["google.protobuf.Struct{}", "that can be made"],
  ["object.?spec", "expecting"],
  ["[".repeat(5000), "nested too deep"],
])("%.40s is refused before it is evaluated", (text, why) => {
  expect(() => new Cel().compile(text, scope)).toThrow(why);
});

test.each<[string, string]>([
  ["object.missing == 1", "missing"],
  ["object.spec.weight + 'a' == ''", "no matching overload"],
  ["1 / 0 == 1", "zero"],
  ["'a'.matches('(')", "parsing regexp"],
])("%s fails when it is evaluated", (text, why) => {
  expect(() => evaluate(text, object)).toThrow(why);
});

const numbers = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);
const long = "a".repeat(500_000);

/** Each would take minutes or gigabytes. */
test.each<[string, string]>([
  ["loops in loops", "object.list.all(a, object.list.all(b, object.list.all(c, a + b + c >= 0)))"],
  ["an error that is lost", "object.list.all(a, object.list.all(b, object.list.all(c, true))) || true"],
  ["a text that doubles", `['a']${".map(a, a + a)".repeat(64)}.size() == 1`],
  ["a list that doubles", `[[1]]${".map(a, a + a)".repeat(64)}.size() == 1`],
  ["a replacement of each character", "object.text.replace('a', object.text) == ''"],
  ["a list joined many times", "object.list.map(a, object.text).join(',') == ''"],
  ["a comparison in a loop", "object.list.all(a, object == object)"],
  ["a search in a loop", "object.list.all(a, !object.text.contains(object.text + 'b'))"],
  ["an expression that backtracks, in a loop", "object.list.all(a, !object.text.matches('(a+)+b'))"],
  ["patterns that differ", "object.list.all(a, !'a'.matches('(abcdefghij){900}' + string(a)))"],
  ["a text split in a loop", "object.list.all(a, object.text.split('').size() > 0)"],
  ["keys that are looked for in vain", "object.list.all(a, object.list.all(b, !(a in object.map)))"],
])("%s is stopped", (_what, text) => {
  const map = Object.fromEntries(numbers(20_000).map((key) => [String(key), key]));
  const hostile = { list: numbers(2_000), text: long, map };
  const cel = new Cel();
  const program = cel.compile(text, scope);
  const values = cel.values({ object: hostile, oldObject: null }, []);
  cel.startWrite();
  cel.start();
  const started = performance.now();
  expect(() => program.evaluate(values)).toThrow("costs too much");
  // Milliseconds, but for machines that do something else as well.
  expect(performance.now() - started).toBeLessThan(2_000);
});

test("what people write costs next to nothing", () => {
  const hosts = numbers(500).map((index) => `host-${index}.example.com`);
  const text =
    "object.hosts.all(h, h.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$') && !(h in ['x']))";
  expect(evaluate(text, { hosts })).toBe(true);
  expect(evaluate("object.l.map(x, x + 1).filter(x, x > 0).size() == 2000", { l: numbers(2000) })).toBe(true);
});

test("no text that is written as an expression throws anything but a sentence, or takes long", () => {
  const token = fc.constantFrom(
    ..."object . a ( ) [ ] { } , : ? ! - + && || == 1 'x' map all x in has".split(" "),
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 60 }), (tokens) => {
      const started = performance.now();
      try {
        evaluate(tokens.join(" "), object);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(Error);
      }
      expect(performance.now() - started).toBeLessThan(2_000);
    }),
    { numRuns: 300 },
  );
});
