import type { HttpMatchRequest, L4MatchAttributes, StringMatch, TlsMatchAttributes } from "@tulle/api";

/**
 * Whether every request that satisfies `later` satisfies `earlier`, so that a route behind `earlier` never gets it. True
 * only where that is certain. `gateways`: those of the object, which matches without any have.
 */
export function coversRequest(
  earlier: HttpMatchRequest | undefined,
  later: HttpMatchRequest | undefined,
  gateways: readonly string[] | undefined,
): boolean {
  if (earlier === undefined) return true;
  const narrow = later ?? {};
  return (
    coversPath(earlier, narrow) &&
    coversValue(earlier.method, narrow.method) &&
    coversValue(earlier.authority, narrow.authority) &&
    coversValue(earlier.scheme, narrow.scheme) &&
    coversKeys(earlier.headers, narrow.headers) &&
    coversKeys(earlier.queryParams, narrow.queryParams) &&
    coversAbsence(earlier.withoutHeaders, narrow.withoutHeaders) &&
    coversSource(earlier, narrow, gateways)
  );
}

/** The same of connections. */
export function coversConnection(
  earlier: L4MatchAttributes | TlsMatchAttributes | undefined,
  later: L4MatchAttributes | TlsMatchAttributes | undefined,
  gateways: readonly string[] | undefined,
): boolean {
  if (earlier === undefined) return true;
  const narrow = later ?? {};
  if (earlier.sourceSubnet !== undefined && earlier.sourceSubnet !== narrow.sourceSubnet) return false;
  if (!coversList(earlier.destinationSubnets, narrow.destinationSubnets)) return false;
  return coversSource(earlier, narrow, gateways);
}

/** Whether every string that `later` takes is one that `earlier` takes; an absent match takes all. */
export function coversValue(earlier: StringMatch | undefined, later: StringMatch | undefined): boolean {
  if (earlier === undefined) return true;
  if (later === undefined) return false;
  if (isPresence(earlier)) return true;
  if (isPresence(later)) return false;
  if (earlier.regex !== undefined) return earlier.regex === later.regex;
  if (later.regex !== undefined) return false;
  if (earlier.exact !== undefined) return earlier.exact === later.exact;
  return (later.exact ?? later.prefix ?? "").startsWith(earlier.prefix ?? "");
}

function coversPath(earlier: HttpMatchRequest, later: HttpMatchRequest): boolean {
  const { uri } = earlier;
  // Paths begin with a slash: this is all of them.
  if (uri === undefined || uri.prefix === "/" || uri.regex === ".*") return true;
  if (later.uri === undefined) return false;
  if (uri.regex !== undefined || later.uri.regex !== undefined) return coversValue(uri, later.uri);
  if (earlier.ignoreUriCase === true) return coversValue(lowered(uri), lowered(later.uri));
  // Of an expression that takes several spellings, the earlier one takes this one only.
  const spelling = uri.exact ?? uri.prefix ?? "";
  const hasCase = spelling.toLowerCase() !== spelling || spelling.toUpperCase() !== spelling;
  if (later.ignoreUriCase === true && hasCase) return false;
  return coversValue(uri, later.uri);
}

function coversKeys(
  earlier: Readonly<Record<string, StringMatch>> | undefined,
  later: Readonly<Record<string, StringMatch>> | undefined,
): boolean {
  return Object.entries(earlier ?? {}).every(([key, match]) => {
    const own = later !== undefined && Object.hasOwn(later, key) ? later[key] : undefined;
    return own !== undefined && coversValue(match, own);
  });
}

/** A condition that must not hold is implied by another that takes in more. */
function coversAbsence(
  earlier: Readonly<Record<string, StringMatch>> | undefined,
  later: Readonly<Record<string, StringMatch>> | undefined,
): boolean {
  return Object.entries(earlier ?? {}).every(([key, match]) => {
    const own = later !== undefined && Object.hasOwn(later, key) ? later[key] : undefined;
    return own !== undefined && coversValue(own, match);
  });
}

interface Source {
  readonly port?: number;
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
  readonly gateways?: readonly string[];
}

function coversSource(earlier: Source, later: Source, gateways: readonly string[] = ["mesh"]): boolean {
  if (earlier.port !== undefined && earlier.port !== later.port) return false;
  if (earlier.sourceNamespace !== undefined && earlier.sourceNamespace !== later.sourceNamespace)
    return false;
  const labels = later.sourceLabels ?? {};
  for (const [key, value] of Object.entries(earlier.sourceLabels ?? {})) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
  }
  return coversList(some(earlier.gateways), some(later.gateways) ?? some(gateways) ?? ["mesh"]);
}

/** An absent list is everything. */
function coversList(earlier: readonly string[] | undefined, later: readonly string[] | undefined): boolean {
  if (earlier === undefined) return true;
  return later !== undefined && later.every((item) => earlier.includes(item));
}

function some(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function isPresence(match: StringMatch): boolean {
  return match.exact === undefined && match.prefix === undefined && match.regex === undefined;
}

function lowered(match: StringMatch): StringMatch {
  if (match.exact !== undefined) return { exact: match.exact.toLowerCase() };
  return match.prefix === undefined ? match : { prefix: match.prefix.toLowerCase() };
}
