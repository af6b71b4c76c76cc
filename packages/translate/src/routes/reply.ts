import { create } from "@bufbuild/protobuf";
import { base64Decode, getTextEncoding } from "@bufbuild/protobuf/wire";
import type { HttpDirectResponse } from "@tulle/api";
import {
  DirectResponseActionSchema,
  RedirectAction_RedirectResponseCode as ResponseCode,
  RedirectActionSchema,
  type DirectResponseAction,
  type RedirectAction,
  type Route,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { RuleMatch, RuleRedirect } from "./rule.js";

const RESPONSE_CODES: ReadonlyMap<number, ResponseCode> = new Map([
  [301, ResponseCode.MOVED_PERMANENTLY],
  [302, ResponseCode.FOUND],
  [303, ResponseCode.SEE_OTHER],
  [307, ResponseCode.TEMPORARY_REDIRECT],
  [308, ResponseCode.PERMANENT_REDIRECT],
]);

/** `uri` of a redirect that keeps the path behind the matched prefix (Istio). */
const KEEP_REST = "%PREFIX()%";

/** A redirect. What is not given stays as the request had it. */
export function redirectAction(redirect: RuleRedirect, match: RuleMatch | undefined): RedirectAction {
  const action = create(RedirectActionSchema, {
    hostRedirect: redirect.authority ?? "",
    responseCode: RESPONSE_CODES.get(redirect.redirectCode ?? 301) ?? ResponseCode.MOVED_PERMANENTLY,
  });
  if (redirect.scheme !== undefined) {
    action.schemeRewriteSpecifier = { case: "schemeRedirect", value: redirect.scheme };
  }
  if (redirect.uriRegexRewrite !== undefined) {
    const { match: regex, rewrite: substitution } = redirect.uriRegexRewrite;
    action.pathRewriteSpecifier = create(RedirectActionSchema, {
      pathRewriteSpecifier: { case: "regexRewrite", value: { pattern: { regex }, substitution } },
    }).pathRewriteSpecifier;
  } else if (redirect.prefixRewrite !== undefined) {
    action.pathRewriteSpecifier = { case: "prefixRewrite", value: redirect.prefixRewrite };
  } else if (redirect.uri?.startsWith(KEEP_REST) === true) {
    const rest = redirect.uri.slice(KEEP_REST.length);
    action.pathRewriteSpecifier = { case: "prefixRewrite", value: `${match?.uri?.prefix ?? ""}${rest}` };
  } else if (redirect.uri !== undefined && redirect.uri !== "") {
    action.pathRewriteSpecifier = { case: "pathRedirect", value: redirect.uri };
  }
  if (redirect.port !== undefined) action.portRedirect = redirect.port;
  else if (redirect.derivePort === "FROM_PROTOCOL_DEFAULT") {
    // Envoy drops the request's port when scheme and port fit the default; a port of its own says so in any case.
    action.portRedirect = redirect.scheme === "https" ? 443 : redirect.scheme === "http" ? 80 : 0;
  }
  return action;
}

/** A response that the proxy gives by itself. */
export function directResponseAction(response: HttpDirectResponse): DirectResponseAction {
  const action = create(DirectResponseActionSchema, { status: response.status });
  const { body } = response;
  if (body !== undefined) {
    action.body = create(DirectResponseActionSchema, {
      body: {
        specifier:
          "string" in body
            ? { case: "inlineString", value: body.string }
            : { case: "inlineBytes", value: base64Decode(body.bytes) },
      },
    }).body;
  }
  return action;
}

/** Largest body that clients take of a route configuration that does not say (Envoy's default). */
const DEFAULT_MAX_BODY_BYTES = 4096;

/** Size of the largest body among direct responses, where clients must be told to take it. */
export function maxDirectResponseBytes(routes: readonly Route[]): number | undefined {
  let largest = DEFAULT_MAX_BODY_BYTES;
  for (const { action } of routes) {
    if (action.case === "directResponse") largest = Math.max(largest, bodyBytes(action.value));
  }
  return largest === DEFAULT_MAX_BODY_BYTES ? undefined : largest;
}

function bodyBytes({ body }: DirectResponseAction): number {
  switch (body?.specifier.case) {
    case "inlineString":
      return getTextEncoding().encodeUtf8(body.specifier.value).length;
    case "inlineBytes":
      return body.specifier.value.length;
    default:
      return 0;
  }
}
