import type { RouteMatch } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { EngineRequest } from "../contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileRegex } from "./regex.js";
import { ValueWords } from "./words.js";
import type { ConditionWords, Wanted } from "./words.js";

/** Whether `path[0, end)` matches; `end` is where the query or fragment begins. */
export type PathTest = (path: string, end: number) => boolean;

export interface CompiledPath {
  readonly test: PathTest;
  /** How many characters of the path a prefix rewrite replaces; undefined = all of it (exact and regex matches). */
  readonly prefixLength: number | undefined;
  /** The only path that matches, where there is one: routes are found by it without trying one after the other. */
  readonly exact: string | undefined;
  /** What every path that matches begins with, where it is more than the first slash, for the same. */
  readonly prefix: string | undefined;
  readonly words: ConditionWords;
}

/** Length of the path proper: up to the query or fragment. */
export function pathEnd(path: string): number {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === 0x3f || code === 0x23) return index;
  }
  return path.length;
}

/** Compiles the path condition of a route. Prefixes look at the path only, never into the query, as in Envoy. */
export function compilePath(field: string, match: RouteMatch): CompiledPath {
  const specifier = match.pathSpecifier;
  const exact = specifier.case === "path" && match.caseSensitive !== false ? specifier.value : undefined;
  return {
    ...compileTest(field, match),
    exact,
    prefix: literalPrefix(match),
    words: new ValueWords("path", "", pathOf, wantedPath(match)),
  };
}

function literalPrefix({ pathSpecifier: specifier, caseSensitive }: RouteMatch): string | undefined {
  if (specifier.case !== "prefix" && specifier.case !== "pathSeparatedPrefix") return undefined;
  return caseSensitive === false || specifier.value.length < 2 ? undefined : specifier.value;
}

function pathOf({ path }: EngineRequest): string {
  return path.slice(0, pathEnd(path));
}

function wantedPath({ pathSpecifier: specifier, caseSensitive }: RouteMatch): Wanted {
  const ignoreCase = caseSensitive === false;
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
      throw invalid(at(field, "path_match_policy"), "is not supported: use prefix, path or safe_regex");
    case undefined:
      throw invalid(field, "must set one of prefix, path, path_separated_prefix, safe_regex");
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
