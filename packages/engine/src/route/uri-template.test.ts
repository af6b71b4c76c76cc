import fc from "fast-check";
import { expect, test } from "vitest";

import { pathEnd } from "./path-end.js";
import { UriTemplate } from "./uri-template.js";

const matches = (template: string, path: string, ignoreCase = false): boolean =>
  new UriTemplate("t", template, ignoreCase).test(path, pathEnd(path));
const rewritten = (template: string, rewrite: string, path: string): string =>
  new UriTemplate("t", template, false).rewrite("r", rewrite)(path);

test.each([
  ["/videos/*/*/*.m4s", "/videos/123414/hls/1080p5000_00001.m4s", true],
  ["/videos/*/*/*.m4s", "/videos/123414/hls/a/1080p5000_00001.m4s", false],
  ["/videos/{file}", "/videos/1080p5000_00001.m4s", true],
  ["/videos/{file}", "/videos/", false],
  ["/videos/{file}", "/videos/a/b", false],
  ["/videos/{file}", "/videos/a?b=/c", true],
  ["/**.mpd", "/content/123/india/dash/55/manifest.mpd", true],
  ["/**.mpd", "/manifest.mpd?x", true],
  ["/a/**", "/a/", true],
  ["/a/**", "/a", false],
  ["/a/{rest=**}", "/a/b/c", true],
  ["/{one=a/*}/b", "/a/x/b", true],
  ["/a.b", "/axb", false],
  ["/a+(b)$", "/a+(b)$", true],
  ["/A/{id}", "/a/7", false],
])("UriTemplate: %s on %s is %s", (template, path, expected) => {
  expect(matches(template, path)).toBe(expected);
});

test("UriTemplate ignores case when it is told to", () => {
  expect(matches("/A/{id}", "/a/7", true)).toBe(true);
});

test.each([
  ["/{one}/{two}", "/{two}/{one}", "/cat/dog?q=1", "/dog/cat?q=1"],
  ["/videos/{language=lang/*}/*", "/{language}", "/videos/lang/en/video.m4s", "/lang/en"],
  [
    "/content/{format}/{lang}/{id}/{file}.vtt",
    "/{lang}/{format}/{file}.vtt",
    "/content/hls/en-us/12345/en_193913.vtt",
    "/en-us/hls/en_193913.vtt",
  ],
  ["/a/{rest=**}", "/{rest}/end", "/a/", "//end"],
  ["/a/{x}", "/same/{x}/{x}", "/a/$1", "/same/$1/$1"],
])("UriTemplate: %s with %s makes of %s %s", (template, rewrite, path, expected) => {
  expect(rewritten(template, rewrite, path)).toBe(expected);
});

test.each([
  ["videos", "must start with /"],
  ["/a//b", "must not hold //"],
  [`/${"a".repeat(256)}`, "longer than 256"],
  ["/**/*", "after **"],
  ["/**/{a}", "after **"],
  ["/{a=**}/{b}", "after **"],
  ["/{a}/{a}", "twice"],
  ["/{a}/{b}/{c}/{d}/{e}/{f}", "more than 5"],
  [`/{${"a".repeat(17)}}`, "more than 16"],
  ["/{1a}", "cannot be read"],
  ["/{a", "cannot be read"],
  ["/a}", "cannot be read"],
  ["/{a={b}}", "cannot be read"],
  ["/a b", "cannot be read"],
  ["/a[b]", "cannot be read"],
  ["/a?b", "cannot be read"],
])("UriTemplate refuses %s: %s", (template, message) => {
  expect(() => new UriTemplate("t", template, false)).toThrow(message);
});

test.each([
  ["/{b}", "does not have"],
  ["/*", "cannot be read"],
  ["/{a=*}", "cannot be read"],
  ["{a}", "must start with /"],
])("UriTemplate refuses to rewrite as %s: %s", (rewrite, message) => {
  expect(() => new UriTemplate("t", "/{a}", false).rewrite("r", rewrite)).toThrow(message);
});

const segment = fc.constantFrom("a", "b.c", "*", "{", "$1", "(x)", "a+");
const piece = fc.constantFrom("a", "b.c", "*", "*.c", "(x)", "a+", "$1");

/** The plain reading of a template of segments, the last of which may be `**`. */
function reads(pieces: readonly string[], segments: readonly string[]): boolean {
  const [first, ...others] = pieces;
  if (first === undefined) return segments.length === 0;
  if (first === "**") return segments.length > 0;
  const [one, ...rest] = segments;
  if (one === undefined) return false;
  const fits =
    first === "*" ? one !== "" : first === "*.c" ? one.length > 2 && one.endsWith(".c") : one === first;
  return fits && reads(others, rest);
}

test("UriTemplate takes what its segments take one by one", () => {
  const template = fc
    .tuple(fc.array(piece, { maxLength: 4 }), fc.boolean())
    .map(([pieces, rest]) => (rest || pieces.length === 0 ? [...pieces, "**"] : pieces));
  fc.assert(
    fc.property(template, fc.array(segment, { minLength: 1, maxLength: 5 }), (pieces, segments) => {
      expect(matches(`/${pieces.join("/")}`, `/${segments.join("/")}`)).toBe(reads(pieces, segments));
    }),
  );
});

test("whatever is written is read or refused, and a rewrite by all variables gives the path again", () => {
  const text = fc.string({
    unit: fc.constantFrom("/", "*", "{", "}", "=", "a", "b", ".", "$", "\\", "é"),
    maxLength: 30,
  });
  fc.assert(
    fc.property(text, text, (template, path) => {
      let made: UriTemplate;
      try {
        made = new UriTemplate("t", `/${template}`, false);
      } catch (thrown) {
        expect(thrown).toMatchObject({ kind: "invalid" });
        return;
      }
      made.test(`/${path}`, path.length + 1);
    }),
  );
  fc.assert(
    fc.property(fc.webPath(), (path) => {
      expect(rewritten("/{all=**}", "/{all}", `/${path.slice(1)}`)).toBe(`/${path.slice(1)}`);
    }),
  );
});
