import type { JwtProvider } from "@tulle/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { cookieValues } from "../affinity/cookies.js";
import type { EngineRequest } from "../contract.js";
import { sameName } from "../route/header-value.js";
import { at, invalid } from "../snapshot/invalid.js";

/** Where tokens of a provider may be in a request. */
export interface TokenLocations {
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
}

/** What Envoy takes where nothing is said. */
const USUAL: TokenLocations = {
  headers: [{ name: "authorization", prefix: "bearer " }],
  params: ["access_token"],
  cookies: [],
};

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function compileLocations(here: string, provider: JwtProvider): TokenLocations {
  const { fromHeaders, fromParams, fromCookies } = provider;
  if (fromHeaders.length + fromParams.length + fromCookies.length === 0) return USUAL;
  return {
    headers: fromHeaders.map(({ name, valuePrefix }, index) => {
      if (!FIELD_NAME.test(name))
        throw invalid(at(here, `from_headers[${index}].name`), "must be the name of a header");
      return { name: name.toLowerCase(), prefix: valuePrefix.toLowerCase() };
    }),
    params: fromParams,
    cookies: fromCookies,
  };
}

/** Every token in these places, each once. What stands there without being one is given all the same: it is a bad token. */
export function tokensIn({ headers, params, cookies }: TokenLocations, request: EngineRequest): Set<string> {
  const found = new Set<string>();
  for (const { name, prefix } of headers) addHeader(found, request, name, prefix);
  if (params.length > 0 && request.path.includes("?")) addParams(found, request.path, params);
  for (const name of cookies) for (const value of cookieValues(request.headers, name)) found.add(value);
  found.delete("");
  return found;
}

/** Schemes of `authorization` are compared without case (RFC 9110 section 11.1). A field without the prefix holds no token. */
function addHeader(found: Set<string>, { headers }: EngineRequest, name: string, prefix: string): void {
  for (let index = 0; index < headers.length; index += 2) {
    if (!sameName(headers[index]!, name)) continue;
    const value = headers[index + 1]!.trim();
    if (value.slice(0, prefix.length).toLowerCase() === prefix) found.add(value.slice(prefix.length).trim());
  }
}

function addParams(found: Set<string>, path: string, params: readonly string[]): void {
  for (const pair of path.slice(path.indexOf("?") + 1).split("&")) {
    const equals = pair.indexOf("=");
    if (equals < 0) continue;
    const name = decoded(pair.slice(0, equals));
    if (name !== undefined && params.includes(name)) found.add(decoded(pair.slice(equals + 1)) ?? pair);
  }
}

/** Undefined: it is not valid percent-encoding, so no token. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
