import type { RouteMatch } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { EngineRequest } from "../contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { pathEnd, type PathTest } from "./path-end.js";
import { compileRegex } from "./regex.js";
import { compileTemplate } from "./template-policy.js";
import type { UriTemplate } from "./uri-template.js";
import { ValueWords } from "./words.js";
import type { ConditionWords, Wanted } from "./words.js";

export interface CompiledPath {
  readonly test: PathTest;
  /** How many characters of the path a prefix rewrite replaces; undefined = all of it (exact and regex matches). */
  readonly prefixLength: number | undefined;
  /** The only path that matches, where there is one: routes are found by it without trying one after the other. */
  readonly exact: string | undefined;
  /** What a rewrite by template goes by; undefined where the path is matched otherwise. */
  readonly template: UriTemplate | undefined;
  /** What every path that matches begins with, where it is more than the first slash, for the same. */
  readonly prefix: string | undefined;
  readonly words: ConditionWords;
}

/** Compiles the path condition of a route. Prefixes look at the path only, never into the query, as in Envoy. */
export function compilePath(field: string, match: RouteMatch): CompiledPath {
  const specifier = match.pathSpecifier;
  const exact = specifier.case === "path" && match.caseSensitive !== false ? specifier.value : undefined;
  const template =
    specifier.case === "pathMatchPolicy"
      ? compileTemplate(at(field, "path_match_policy"), specifier.value, match.caseSensitive === false)
      : undefined;
  return {
    ...(template === undefined
      ? compileTest(field, match)
      : { test: template.test, prefixLength: undefined }),
    exact,
    template,
    prefix: literalPrefix(match),
    words: new ValueWords("path", "", pathOf, wantedPath(match, template)),
  };
}

function literalPrefix({ pathSpecifier: specifier, caseSensitive }: RouteMatch): string | undefined {
  if (specifier.case !== "prefix" && specifier.case !== "pathSeparatedPrefix") return undefined;
  return caseSensitive === false || specifier.value.length < 2 ? undefined : specifier.value;
}

function pathOf({ path }: EngineRequest): string {
  return path.slice(0, pathEnd(path));
}

function wantedPath(
  { pathSpecifier: specifier, caseSensitive }: RouteMatch,
  template: UriTemplate | undefined,
): Wanted {
  const ignoreCase = caseSensitive === false;
  if (template !== undefined) return { verb: "match the template", text: template.text, ignoreCase };
  switch (specifier.case) {
    case "prefix":
      return { verb: "begin with", text: specifier.value, ignoreCase };
    case "pathSeparatedPrefix":
      return { verb: "lie below", text: specifier.value, ignoreCase };
    case "path":
      return { verb: "be", text: specifier.value, ignoreCase };
    case "safeRegex":
      return { verb: "match", text: specifier.value.regex, ignoreCase: false };
    default:
      return { verb: "match", text: "", ignoreCase: false };
  }
}

function compileTest(field: string, match: RouteMatch): Pick<CompiledPath, "test" | "prefixLength"> {
  const specifier = match.pathSpecifier;
  const ignoreCase = match.caseSensitive === false;
  switch (specifier.case) {
    case "prefix":
      return { test: startsWith(specifier.value, ignoreCase), prefixLength: specifier.value.length };
    case "path":
      return { test: equals(specifier.value, ignoreCase), prefixLength: undefined };
    case "pathSeparatedPrefix":
      return {
        test: separated(at(field, "path_separated_prefix"), specifier.value, ignoreCase),
        prefixLength: specifier.value.length,
      };
    case "safeRegex": {
      const regex = compileRegex(at(field, "safe_regex"), specifier.value);
      return {
        test: (path, end) => regex.testExact(end === path.length ? path : path.slice(0, end)),
        prefixLength: undefined,
      };
    }
    case "connectMatcher":
      throw invalid(at(field, "connect_matcher"), "is not supported");
    case "pathMatchPolicy":
    case undefined:
      throw invalid(
        field,
        "must set one of prefix, path, path_separated_prefix, safe_regex, path_match_policy",
      );
  }
}

function startsWith(prefix: string, ignoreCase: boolean): PathTest {
  // The usual "all of it" is so for `OPTIONS *` too.
  if (prefix === "/") return (path) => path !== "";
  if (!ignoreCase) return (path, end) => prefix.length <= end && path.startsWith(prefix);
  const lower = prefix.toLowerCase();
  return (path, end) => prefix.length <= end && path.slice(0, prefix.length).toLowerCase() === lower;
}

function equals(wanted: string, ignoreCase: boolean): PathTest {
  if (!ignoreCase) return (path, end) => wanted.length === end && path.startsWith(wanted);
  const lower = wanted.toLowerCase();
  return (path, end) => wanted.length === end && path.slice(0, end).toLowerCase() === lower;
}

function separated(field: string, prefix: string, ignoreCase: boolean): PathTest {
  if (!prefix.startsWith("/") || prefix.length < 2 || prefix.endsWith("/") || /[?#]/.test(prefix)) {
    throw invalid(field, "must start with / and neither end with it nor hold ? or #");
  }
  const starts = startsWith(prefix, ignoreCase);
  return (path, end) =>
    starts(path, end) && (prefix.length === end || path.charCodeAt(prefix.length) === 0x2f);
}
