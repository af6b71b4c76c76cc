import { getTextEncoding } from "@bufbuild/protobuf/wire";
import type { HeaderList } from "@tulle/http";
import type {
  DirectResponseAction,
  RedirectAction,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RedirectAction_RedirectResponseCode as Code } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type {
  EngineRequest,
  HeaderMutation,
  RateLimitSources,
  ReplyPlan,
  RouteFilters,
} from "../contract.js";
import type { Provenance } from "../snapshot/contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { pathEnd } from "./path-end.js";
import { prefixRewrite, regexRewrite } from "./path-rewrite.js";
import type { PathRewrite } from "./path-rewrite.js";
import { compileSubstitution } from "./regex.js";
import { withoutPort } from "./virtual-hosts.js";

/** What every reply of a route has in common. */
export interface ReplySettings {
  readonly routeName: string;
  readonly responseHeaders: readonly HeaderMutation[];
  readonly filters: RouteFilters | undefined;
  readonly rateLimits: RateLimitSources | undefined;
  readonly provenance: Provenance;
}

/** A fixed response. `maxBodyBytes`: Envoy's `max_direct_response_body_size_bytes`. */
export function compileDirectResponse(
  field: string,
  action: DirectResponseAction,
  settings: ReplySettings,
  maxBodyBytes: number,
): ReplyPlan {
  if (action.status < 200 || action.status > 599)
    throw invalid(at(field, "status"), "must be between 200 and 599");
  const body = directBody(at(field, "body"), action);
  const bytes = typeof body === "string" ? getTextEncoding().encodeUtf8(body) : body;
  if (bytes.length > maxBodyBytes) throw invalid(at(field, "body"), `is larger than ${maxBodyBytes} bytes`);
  const reply = { kind: "reply", ...settings, status: action.status, headers: noHeaders } as const;
  if (typeof body === "string") return { ...reply, body };
  return { ...reply, body: getTextEncoding().decodeUtf8(body), bytes: body };
}

/** A redirect: `location` is made from the request. */
export function compileRedirect(
  field: string,
  action: RedirectAction,
  settings: ReplySettings,
  prefixLength: number | undefined,
): ReplyPlan {
  const status = STATUS.get(action.responseCode);
  if (status === undefined) throw invalid(at(field, "response_code"), "is not a redirect code");
  const location = compileLocation(field, action, prefixLength);
  return {
    kind: "reply",
    ...settings,
    status,
    body: "",
    headers: (request) => ["location", location(request)],
  };
}

/** The answer of a virtual host that takes TLS only (`require_tls: ALL`). */
export function tlsRequired(settings: ReplySettings): ReplyPlan {
  return {
    kind: "reply",
    ...settings,
    status: 301,
    body: "",
    headers: ({ authority, path }) => ["location", `https://${withoutPort(authority)}${path}`],
  };
}

const STATUS: ReadonlyMap<Code, number> = new Map([
  [Code.MOVED_PERMANENTLY, 301],
  [Code.FOUND, 302],
  [Code.SEE_OTHER, 303],
  [Code.TEMPORARY_REDIRECT, 307],
  [Code.PERMANENT_REDIRECT, 308],
]);

function directBody(field: string, action: DirectResponseAction): string | Uint8Array {
  const source = action.body?.specifier;
  if (source?.case === undefined) return "";
  if (source.case === "inlineString") return source.value;
  if (source.case === "inlineBytes") return source.value;
  throw invalid(field, "must be inline_string or inline_bytes");
}

function noHeaders(): HeaderList {
  return [];
}

function compileLocation(
  field: string,
  action: RedirectAction,
  prefixLength: number | undefined,
): (request: EngineRequest) => string {
  for (const text of [action.hostRedirect, schemeOf(action) ?? ""]) {
    if (/[\0-\x20\x7f]/.test(text)) throw invalid(field, "must not hold spaces or control characters");
  }
  const newPath = compileRedirectPath(field, action, prefixLength);
  const newScheme = schemeOf(action);
  return (request) => {
    const scheme = newScheme ?? request.scheme;
    const authority = redirectAuthority(request, action, newScheme);
    const path = newPath(request.path);
    return `${scheme}://${authority}${action.stripQuery ? path.slice(0, pathEnd(path)) : path}`;
  };
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

function schemeOf(action: RedirectAction): string | undefined {
  const specifier = action.schemeRewriteSpecifier;
  if (specifier.case === "httpsRedirect") return specifier.value ? "https" : undefined;
  if (specifier.case === "schemeRedirect")
    return specifier.value === "" ? undefined : specifier.value.toLowerCase();
  return undefined;
}

/**
 * Keeps the request's port, unless host, port or scheme say otherwise (a scheme's default port goes with the scheme). A
 * port that the new scheme means anyway is not written.
 */
function redirectAuthority(
  request: EngineRequest,
  action: RedirectAction,
  newScheme: string | undefined,
): string {
  const host = action.hostRedirect === "" ? withoutPort(request.authority) : action.hostRedirect;
  if (action.portRedirect === DEFAULT_PORTS[newScheme ?? request.scheme]) return host;
  if (action.portRedirect !== 0) return `${host}:${action.portRedirect}`;
  if (action.hostRedirect !== "") return host;
  const port = request.authority.slice(host.length);
  const isDefaultOfOld =
    (request.scheme === "http" && port === ":80") || (request.scheme === "https" && port === ":443");
  return newScheme !== undefined && newScheme !== request.scheme && isDefaultOfOld ? host : request.authority;
}

function compileRedirectPath(
  field: string,
  action: RedirectAction,
  prefixLength: number | undefined,
): PathRewrite {
  const specifier = action.pathRewriteSpecifier;
  switch (specifier.case) {
    case undefined:
      return (path) => path;
    case "pathRedirect": {
      const target = specifier.value;
      if (/[\0-\x20\x7f]/.test(target))
        throw invalid(at(field, "path_redirect"), "must not hold spaces or control characters");
      // A target with a query of its own replaces the request's (Envoy's rule).
      return target.includes("?") ? () => target : (path) => target + path.slice(pathEnd(path));
    }
    case "prefixRewrite":
      return prefixRewrite(specifier.value, prefixLength);
    case "regexRewrite":
      return regexRewrite(compileSubstitution(at(field, "regex_rewrite"), specifier.value));
  }
}
