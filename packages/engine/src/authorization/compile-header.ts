import type { HeaderMatcher } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { EngineRequest, Facts } from "../contract.js";
import { compileValueTest, wantedHeader } from "../route/header-test.js";
import { requestValue, sameName } from "../route/header-value.js";
import type { StringTest } from "../route/string-test.js";
import { at, invalid } from "../snapshot/invalid.js";
import { Leaf, type Condition } from "./condition.js";
import { wordsOf } from "./words.js";

/**
 * Compiles a HeaderMatcher of a rule. Of a field that occurs several times each value is looked at by itself, never all
 * joined (CVE-2026-26308). `inDoubt` says which way to err: true = one value that matches is enough, false = all must. A value
 * with commas may be several to whoever reads it (RFC 9110 section 5.3), and a method in lower case the one in capitals: so
 * they are read where that refuses.
 */
export function compileHeader(field: string, matcher: HeaderMatcher, inDoubt: boolean): Condition {
  if (matcher.name === "") throw invalid(at(field, "name"), "must not be empty");
  const name = matcher.name.toLowerCase();
  const test = compileValueTest(field, matcher);
  const missing = matcher.treatMissingHeaderAsEmpty ? "" : undefined;
  const actual = ({ request }: Facts): string | undefined => requestValue(request, name) ?? missing;
  const init = { subject: subjectOf(name), actual, perConnection: false };
  if (typeof test === "boolean") {
    const wanted = test !== matcher.invertMatch;
    return new Leaf({
      ...init,
      wanted: wanted ? "anything" : "absent",
      test: (facts) => (actual(facts) !== undefined) === wanted,
    });
  }
  const { invertMatch } = matcher;
  const wanted = `${invertMatch ? "anything but " : ""}${wordsOf(wantedHeader(matcher))}`;
  const single: StringTest = invertMatch ? (value) => !test(value) : test;
  if (isPseudo(name)) {
    const holds = name === ":method" ? inReadings(single, invertMatch, inDoubt, capitals) : single;
    return new Leaf({
      ...init,
      wanted,
      test: ({ request }) => {
        const value = requestValue(request, name) ?? missing;
        return value !== undefined && holds(value);
      },
    });
  }
  const holds = inReadings(single, invertMatch, inDoubt, listed);
  return new Leaf({
    ...init,
    wanted,
    header: missing === undefined ? name : undefined,
    test: ({ request }) => testEach(request, name, holds, missing, inDoubt),
  });
}

/**
 * A test that holds in doubt for what holds in any reading of a value. Where doubt does not count, the value as it is decides,
 * but a negation has to hold in every reading.
 */
function inReadings(
  test: StringTest,
  negated: boolean,
  inDoubt: boolean,
  others: (value: string) => readonly string[],
): StringTest {
  if (inDoubt) return (value) => test(value) || others(value).some(test);
  return negated ? (value) => test(value) && others(value).every(test) : test;
}

const NONE: readonly string[] = [];

function listed(value: string): readonly string[] {
  return value.includes(",") ? value.split(",").map((element) => element.trim()) : NONE;
}

let lastMethod = "";
let lastCapitals = NONE;

/** Remembers the last method: every rule that denies one asks. */
function capitals(method: string): readonly string[] {
  if (method !== lastMethod) {
    const upper = method.toUpperCase();
    lastCapitals = upper === method ? NONE : [upper];
    lastMethod = method;
  }
  return lastCapitals;
}

function isPseudo(name: string): boolean {
  return name.startsWith(":") || name === "host";
}

function testEach(
  { headers }: EngineRequest,
  name: string,
  test: StringTest,
  missing: string | undefined,
  inDoubt: boolean,
): boolean {
  let found = false;
  for (let index = 0; index < headers.length; index += 2) {
    if (!sameName(headers[index]!, name)) continue;
    found = true;
    if (test(headers[index + 1]!) === inDoubt) return inDoubt;
  }
  if (!found) return missing !== undefined && test(missing);
  return !inDoubt;
}

function subjectOf(name: string): string {
  switch (name) {
    case ":method":
      return "the method";
    case ":authority":
    case "host":
      return "the host";
    case ":path":
      return "the path with its query";
    case ":scheme":
      return "the scheme";
    default:
      return `the header ${name}`;
  }
}
