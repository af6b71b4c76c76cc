import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatch_TlsContextMatchOptionsSchema,
  RouteMatchSchema,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { StringMatcherSchema } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import { RegexMatchAndSubstituteSchema } from "@tulle/xds/gen/envoy/type/matcher/v3/regex_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_RUNTIME } from "./runtime-values.js";
import { request } from "../testing/resources.js";
import { compileCertificateTest } from "./certificate-test.js";
import { compileHeaderTest, headerWords } from "./header-test.js";
import { pathEnd } from "./path-end.js";
import { compilePath } from "./path-test.js";
import { compileQueryTest, queryParameter } from "./query-test.js";
import { compileSubstitution } from "./regex.js";
import { compileStringTest } from "./string-test.js";

type PathInit = NonNullable<MessageInitShape<typeof RouteMatchSchema>["pathSpecifier"]>;

function matchesPath(pathSpecifier: PathInit, path: string, caseSensitive?: boolean): boolean {
  const init = caseSensitive === undefined ? { pathSpecifier } : { pathSpecifier, caseSensitive };
  return compilePath("match", create(RouteMatchSchema, init)).test(path, pathEnd(path));
}

test.each([
  [{ case: "prefix", value: "/api" }, "/api/x?y", true],
  [{ case: "prefix", value: "/api" }, "/apix", true],
  [{ case: "prefix", value: "/api" }, "/ap?i", false],
  [{ case: "prefix", value: "/a?b" }, "/a?b", false],
  [{ case: "prefix", value: "/" }, "/api", true],
  [{ case: "prefix", value: "/" }, "*", true],
  [{ case: "prefix", value: "/a" }, "*", false],
  [{ case: "path", value: "/api" }, "/api?x", true],
  [{ case: "path", value: "/api" }, "/api#x", true],
  [{ case: "path", value: "/api" }, "/api/", false],
  [{ case: "pathSeparatedPrefix", value: "/api" }, "/api", true],
  [{ case: "pathSeparatedPrefix", value: "/api" }, "/api/x", true],
  [{ case: "pathSeparatedPrefix", value: "/api" }, "/api?x", true],
  [{ case: "pathSeparatedPrefix", value: "/api" }, "/apix", false],
  [{ case: "safeRegex", value: { regex: "/v\\d+/.*" } }, "/v12/x?y=/z", true],
  [{ case: "safeRegex", value: { regex: "/v\\d+" } }, "/v12/x", false],
] as [PathInit, string, boolean][])("AZ-08: compilePath: %j on %s is %s", (specifier, path, expected) => {
  expect(matchesPath(specifier, path)).toBe(expected);
});

test("the words of a prefix of whole segments name both forms that it takes", () => {
  const words = (caseSensitive: boolean) =>
    compilePath(
      "match",
      create(RouteMatchSchema, {
        pathSpecifier: { case: "pathSeparatedPrefix", value: "/api" },
        caseSensitive,
      }),
    ).words;
  expect(words(true).condition(NO_RUNTIME)).toBe('path must be "/api" or begin with "/api/"');
  expect(words(true).mismatch(request({ path: "/apix" }), NO_RUNTIME)).toBe(
    'path is "/apix": it must be "/api" or begin with "/api/"',
  );
  expect(words(false).condition(NO_RUNTIME)).toBe(
    'path must be "/api" in any case or begin with "/api/" in any case',
  );
});

test("compilePath ignores case when case_sensitive is false", () => {
  expect(matchesPath({ case: "prefix", value: "/API" }, "/api/x")).toBe(false);
  expect(matchesPath({ case: "prefix", value: "/API" }, "/api/x", false)).toBe(true);
  expect(matchesPath({ case: "path", value: "/Api" }, "/aPI?q", false)).toBe(true);
  expect(matchesPath({ case: "pathSeparatedPrefix", value: "/Api" }, "/aPI/x", false)).toBe(true);
});

test("compilePath names the field of what it refuses", () => {
  expect(() => matchesPath({ case: undefined }, "/")).toThrow("match: must set one of prefix");
  expect(() => matchesPath({ case: "safeRegex", value: { regex: "(?=x)" } }, "/")).toThrow(
    "match.safe_regex.regex: is not a valid RE2",
  );
  expect(() => matchesPath({ case: "pathSeparatedPrefix", value: "/a/" }, "/")).toThrow(
    "match.path_separated_prefix: must start with /",
  );
  expect(() => matchesPath({ case: "safeRegex", value: { regex: "a{1000}{10}" } }, "/")).toThrow(
    "match.safe_regex.regex",
  );
});

type HeaderInit = MessageInitShape<typeof HeaderMatcherSchema>;

function matchesHeader(init: HeaderInit, headers: string[]): boolean {
  return compileHeaderTest("h", create(HeaderMatcherSchema, init))(request({ headers }));
}

test.each([
  [{ headerMatchSpecifier: { case: "exactMatch", value: "v2" } }, true],
  [{ headerMatchSpecifier: { case: "exactMatch", value: "V2" } }, false],
  [
    {
      headerMatchSpecifier: {
        case: "stringMatch",
        value: { matchPattern: { case: "exact", value: "V2" }, ignoreCase: true },
      },
    },
    true,
  ],
  [{ headerMatchSpecifier: { case: "prefixMatch", value: "v" } }, true],
  [{ headerMatchSpecifier: { case: "suffixMatch", value: "2" } }, true],
  [{ headerMatchSpecifier: { case: "containsMatch", value: "x" } }, false],
  [{ headerMatchSpecifier: { case: "safeRegexMatch", value: { regex: "v[0-9]" } } }, true],
  [{ headerMatchSpecifier: { case: "safeRegexMatch", value: { regex: "v" } } }, false],
  [{ headerMatchSpecifier: { case: "presentMatch", value: true } }, true],
  [{ headerMatchSpecifier: { case: "presentMatch", value: false } }, false],
  [{}, true],
  [{ headerMatchSpecifier: { case: "exactMatch", value: "v2" }, invertMatch: true }, false],
  [{ headerMatchSpecifier: { case: "presentMatch", value: true }, invertMatch: true }, false],
] as [HeaderInit, boolean][])("compileHeaderTest: %j on version: v2 is %s", (init, expected) => {
  expect(matchesHeader({ name: "Version", ...init } as HeaderInit, ["a", "b", "VERSION", "v2"])).toBe(
    expected,
  );
});

test("compileHeaderTest lets no value condition hold for an absent field, inverted or not, unless it counts as empty", () => {
  const exact = { name: "x", headerMatchSpecifier: { case: "exactMatch", value: "1" } } as const;
  expect(matchesHeader(exact, [])).toBe(false);
  expect(matchesHeader({ ...exact, invertMatch: true }, [])).toBe(false);
  expect(matchesHeader({ ...exact, invertMatch: true, treatMissingHeaderAsEmpty: true }, [])).toBe(true);
});

test("compileHeaderTest joins repeated fields with a comma", () => {
  const init = { name: "x", headerMatchSpecifier: { case: "exactMatch", value: "1,2" } } as const;
  expect(matchesHeader(init, ["x", "1", "y", "0", "X", "2"])).toBe(true);
});

test("compileHeaderTest compares integers in a half-open range", () => {
  const init = {
    name: "x",
    headerMatchSpecifier: { case: "rangeMatch", value: { start: -10n, end: 0n } },
  } as const;
  expect(matchesHeader(init, ["x", "-10"])).toBe(true);
  expect(matchesHeader(init, ["x", "0"])).toBe(false);
  expect(matchesHeader(init, ["x", "-1.5"])).toBe(false);
});

test("compileHeaderTest sees pseudo headers and the authority as host", () => {
  const test1 = (name: string, value: string) =>
    compileHeaderTest(
      "h",
      create(HeaderMatcherSchema, { name, headerMatchSpecifier: { case: "exactMatch", value } }),
    )(
      request({
        method: "POST",
        path: "/a?b",
        authority: "x:1",
        scheme: "https",
        headers: ["host", "forged"],
      }),
    );
  expect([
    test1(":method", "POST"),
    test1(":path", "/a?b"),
    test1(":authority", "x:1"),
    test1(":scheme", "https"),
    test1("host", "x:1"),
  ]).toEqual([true, true, true, true, true]);
});

test("compileHeaderTest reads one cookie by @request.cookies, whatever is beside it and in as many fields as they come", () => {
  const exact = {
    name: "@request.cookies.Beta",
    headerMatchSpecifier: { case: "exactMatch", value: "on" },
  } as const;
  expect(matchesHeader(exact, ["Cookie", "xBeta=off; Beta=on; z=1"])).toBe(true);
  expect(matchesHeader(exact, ["cookie", "a=b", "cookie", 'Beta="on"'])).toBe(true);
  expect(matchesHeader(exact, ["cookie", "beta=on; a=Beta=on"])).toBe(false);
  expect(matchesHeader(exact, ["@request.cookies.Beta", "on"])).toBe(false);
  const any = {
    ...exact,
    headerMatchSpecifier: { case: "safeRegexMatch", value: { regex: "o.*" } },
  } as const;
  expect(matchesHeader(any, ["cookie", "Beta=x; Beta2=on"])).toBe(false);
  expect(matchesHeader({ name: "@request.cookies.Beta", invertMatch: true }, ["cookie", "a=1"])).toBe(true);
  expect(() => matchesHeader({ name: "@request.cookies." }, [])).toThrow("h.name: must name a cookie");
  const words = headerWords(create(HeaderMatcherSchema, exact));
  expect(words.condition(NO_RUNTIME)).toBe('cookie "Beta" must be "on"');
  expect(words.mismatch(request({ headers: ["cookie", "Beta=off"] }), NO_RUNTIME)).toBe(
    'cookie "Beta" is "off", not "on"',
  );
});

test("compileCertificateTest takes a certificate that was presented for one that holds, and plaintext for none", () => {
  const holds = (presented: boolean | undefined, validated?: boolean) => {
    const options = create(RouteMatch_TlsContextMatchOptionsSchema, {
      ...(presented !== undefined && { presented }),
      ...(validated !== undefined && { validated }),
    });
    const found = compileCertificateTest(options);
    return found && [true, false].map((clientCertificate) => found.test(request({ clientCertificate })));
  };
  expect(holds(undefined)).toBeUndefined();
  expect(holds(true)).toEqual([true, false]);
  expect(holds(undefined, true)).toEqual([true, false]);
  expect(holds(false, false)).toEqual([false, true]);
  expect(holds(true, false)).toEqual([false, false]);
  const { words } = compileCertificateTest(
    create(RouteMatch_TlsContextMatchOptionsSchema, { presented: true }),
  )!;
  expect(words.condition(NO_RUNTIME)).toBe("the client must have a certificate");
  expect(words.mismatch(request(), NO_RUNTIME)).toBe("the client has no certificate");
});

test("compileQueryTest compares the first value as sent", () => {
  const test1 = (value: string, path: string) =>
    compileQueryTest(
      "q",
      create(QueryParameterMatcherSchema, {
        name: "a",
        queryParameterMatchSpecifier: {
          case: "stringMatch",
          value: { matchPattern: { case: "exact", value } },
        },
      }),
    )(path);
  expect(test1("1", "/?b=0&a=1&a=2")).toBe(true);
  expect(test1("2", "/?a=1&a=2")).toBe(false);
  expect(test1("", "/?a")).toBe(true);
  expect(test1("1", "/?ab=1")).toBe(false);
  expect(test1("1", "/?a=1#x")).toBe(true);
  expect(test1("1", "/#?a=1")).toBe(true);
});

test("queryParameter finds what it is given", () => {
  const word = fc.stringMatching(/^[a-z0-9%+.]{1,6}$/);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(word, word), { selector: ([name]) => name, maxLength: 6 }),
      word,
      (pairs, absent) => {
        const path = `/p?${pairs.map(([name, value]) => `${name}=${value}`).join("&")}`;
        for (const [name, value] of pairs) expect(queryParameter(path, name)).toBe(value);
        if (!pairs.some(([name]) => name === absent)) expect(queryParameter(path, absent)).toBeUndefined();
      },
    ),
  );
});

test("compileStringTest refuses empty prefixes and unknown forms", () => {
  const compile = (init: MessageInitShape<typeof StringMatcherSchema>) =>
    compileStringTest("s", create(StringMatcherSchema, init));
  expect(() => compile({})).toThrow("s: must set one of");
  expect(() => compile({ matchPattern: { case: "prefix", value: "" } })).toThrow(
    "s.prefix: must not be empty",
  );
});

test("compileSubstitution replaces every match and knows groups and backslashes", () => {
  const substitute = (regex: string, substitution: string) =>
    compileSubstitution("r", create(RegexMatchAndSubstituteSchema, { pattern: { regex }, substitution }));
  expect(substitute("^/service/([^/]+)(/.*)$", "\\2/instance/\\1")("/service/foo/v1/api")).toBe(
    "/v1/api/instance/foo",
  );
  expect(substitute("one", "two")("/xxx/one/yyy/one/zzz")).toBe("/xxx/two/yyy/two/zzz");
  expect(substitute("a", "$1\\\\$&")("/a")).toBe("/$1\\$&");
  expect(substitute("a(b)?", "[\\1]")("ac")).toBe("[]c");
  expect(() => substitute("a", "\\1")).toThrow("r.substitution: names group \\1, but the pattern has 0");
  expect(() => substitute("a", "\\x")).toThrow("r.substitution: a backslash");
});
