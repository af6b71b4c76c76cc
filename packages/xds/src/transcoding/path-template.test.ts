import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { PathMatcher } from "./path-matcher.js";
import { parsePathTemplate, type PathTemplate } from "./path-template.js";

function parsed(text: string): PathTemplate {
  const template = parsePathTemplate(text);
  if (typeof template === "string") throw new Error(`${text} ${template}`);
  return template;
}

describe("parsePathTemplate", () => {
  test.each([
    ["/v1/messages", 2, [], ""],
    ["/v1/{name}", 2, [{ field: ["name"], start: 1, end: 2, isMulti: false }], ""],
    [
      "/v1/{name=shelves/*/books/*}:archive",
      5,
      [{ field: ["name"], start: 1, end: 5, isMulti: true }],
      "archive",
    ],
    ["/{a.b_c=**}/end", 2, [{ field: ["a", "b_c"], start: 0, end: 1, isMulti: true }], ""],
    ["/v1/{a=x}/{b=*}", 3, expect.arrayContaining([expect.objectContaining({ field: ["b"] })]), ""],
  ])("%s", (text, segments, variables, verb) => {
    expect(parsed(text)).toMatchObject({ segments: { length: segments }, variables, verb });
  });

  test.each([
    ["", "must begin with /"],
    ["v1", "must begin with /"],
    ["/", "an empty segment"],
    ["/a//b", "an empty segment"],
    ["/a/", "an empty segment"],
    ["/{a", "does not end"],
    ["/{}", "no field path"],
    ["/{a..b}", "no field path"],
    ["/{1a}", "no field path"],
    ["/{a={b}}", "a variable within a variable"],
    ["/{a}/{a}", "names the variable a twice"],
    ["/**/*", "behind **"],
    ["/**/{a}", "behind **"],
    ["/a*", 'the segment "a*"'],
    ["/a b", 'the segment "a b"'],
    ["/a}", 'has "}"'],
    ["/a:", "no verb"],
    ["/a:b/c", 'has "/"'],
    [`/${"a/".repeat(70)}a`, "more than 64 segments"],
    [`/${"a".repeat(3000)}`, "longer than 2048"],
  ])("a template is refused: %#", (text, why) => {
    expect(parsePathTemplate(text)).toContain(why);
  });

  test("any text is read or refused", () => {
    const text = fc.array(fc.constantFrom(..."/{}=*:.ab1% ?".split("")), { maxLength: 40 });
    fc.assert(
      fc.property(text, (characters) => {
        const template = parsePathTemplate(characters.join(""));
        if (typeof template === "string") return;
        for (const { start, end } of template.variables) {
          expect(start).toBeLessThan(end);
          expect(end).toBeLessThanOrEqual(template.segments.length);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** Finds paths among templates; the value is the template's text. */
function matcherOf(templates: readonly string[], others = false): PathMatcher<string> {
  const matcher = new PathMatcher<string>(others);
  for (const template of templates) {
    const [method = "", path = ""] = template.split(" ");
    matcher.add(method, parsed(path), template);
  }
  return matcher;
}

describe("PathMatcher", () => {
  const matcher = matcherOf([
    "GET /v1/books",
    "GET /v1/{name}",
    "GET /v1/books/{id}",
    "GET /v1/{name=shelves/*/books/*}",
    "GET /v1/files/{path=**}",
    "GET /v1/files/{path=**}/info",
    "GET /v1/files/{path=**}:raw",
    "POST /v1/books/{id}:lend",
    "POST /v1/{rest=**}",
    "* /any",
  ]);

  test.each([
    ["GET", "/v1/books", "GET /v1/books", []],
    ["GET", "/v1/pens", "GET /v1/{name}", ["pens"]],
    ["GET", "/v1/books/7", "GET /v1/books/{id}", ["7"]],
    ["GET", "/v1/books/7:lend", "GET /v1/books/{id}", ["7:lend"]],
    ["POST", "/v1/books/7:lend", "POST /v1/books/{id}:lend", ["7"]],
    ["POST", "/v1/books/7:other", "POST /v1/{rest=**}", ["books/7:other"]],
    ["GET", "/v1/shelves/1/books/2", "GET /v1/{name=shelves/*/books/*}", ["shelves/1/books/2"]],
    ["GET", "/v1/files", "GET /v1/files/{path=**}", [""]],
    ["GET", "/v1/files/a/b", "GET /v1/files/{path=**}", ["a/b"]],
    ["GET", "/v1/files/a/b/info", "GET /v1/files/{path=**}/info", ["a/b"]],
    ["GET", "/v1/files/a/b:raw", "GET /v1/files/{path=**}:raw", ["a/b"]],
    ["PUT", "/any", "* /any", []],
    ["PUT", "/v1/books", undefined, []],
    ["GET", "/v1/", undefined, []],
    ["GET", "/v1/books/", undefined, []],
    ["GET", "/", undefined, []],
    ["GET", "", undefined, []],
    ["GET", "/v1/shelves//books/2", undefined, []],
  ])("%s %s", (method, path, template, texts) => {
    const found = matcher.find(method, path);
    expect(found?.value).toBe(template);
    expect(found?.variables.map(({ text }) => text) ?? []).toEqual(texts);
  });

  test("other verbs are verbs where that is asked for", () => {
    expect(matcherOf(["GET /v1/{name}"], true).find("GET", "/v1/a:b")).toBeUndefined();
    expect(matcherOf(["GET /v1/{name}"]).find("GET", "/v1/a:b")?.variables[0]?.text).toBe("a:b");
  });

  test("of two templates for the same paths the first counts", () => {
    const two = new PathMatcher<number>();
    expect(two.add("GET", parsed("/a/{b}"), 1)).toBe(true);
    expect(two.add("GET", parsed("/a/*"), 2)).toBe(false);
    expect(two.find("GET", "/a/x")?.value).toBe(1);
  });

  const word = fc.stringMatching(/^[a-c]{1,2}$/);
  const part = fc.oneof(word, fc.constant("*"), fc.constantFrom("{v}", "{v=x/*}", "{v=**}"));

  test("a path made from a template is found, with what was put in", () => {
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        fc.array(word, { minLength: 1 }),
        (parts, words) => {
          const text = `/${parts.join("/")}`;
          const template = parsePathTemplate(text);
          if (typeof template === "string") return;
          let next = 0;
          const fill = (): string => words[next++ % words.length]!;
          let put: string | undefined;
          const path = parts.map((each) => {
            if (each === "*") return fill();
            if (!each.startsWith("{")) return each;
            put = each === "{v}" ? fill() : each === "{v=x/*}" ? `x/${fill()}` : `${fill()}/${fill()}`;
            return put;
          });
          const own = new PathMatcher<string>();
          own.add("GET", template, text);
          const found = own.find("GET", `/${path.join("/")}`);
          expect(found?.value).toBe(text);
          expect(found?.variables[0]?.text).toBe(put);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("a long path takes no longer than there are templates", () => {
    const many = matcherOf(
      Array.from({ length: 12 }, (_, depth) => `GET /${"*/".repeat(depth)}{end=**}/z${depth}`),
    );
    const path = `/${"a/".repeat(20_000)}b`;
    const start = performance.now();
    expect(many.find("GET", path)).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(500);
  });
});
