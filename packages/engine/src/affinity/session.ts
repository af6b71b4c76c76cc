import type { Any } from "@bufbuild/protobuf/wkt";
import {
  StatefulSessionPerRouteSchema,
  StatefulSessionSchema,
  type StatefulSession,
} from "@tulle/xds/gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { CookieBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.js";
import { HeaderBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/header/v3/header_pb.js";
import type { EngineRequest } from "../contract.js";
import { headerValue } from "../route/header-value.js";
import { holds, typeName, unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { cookieValue, setCookieValue, type CookieSettings } from "./cookies.js";
import { isCookieText } from "./request-hash.js";

// In every JavaScript host, declared here so that this package compiles without any host's types.
declare function atob(text: string): string;
declare function btoa(text: string): string;

/** Name of Envoy's filter: the key of its settings on a route or virtual host. */
export const STATEFUL_SESSION = "envoy.filters.http.stateful_session";

/**
 * Binds a client's session to an endpoint: the response names the endpoint, and the client brings the name again. So a
 * session stays where it is however many endpoints come or go, and on an endpoint that is being drained.
 */
export interface SessionPolicy {
  /** Where the name of the endpoint is carried. */
  readonly carrier:
    | { readonly kind: "cookie"; readonly cookie: CookieSettings }
    | { readonly kind: "header"; readonly name: string };
  /** A request whose endpoint is gone fails instead of going to another. */
  readonly strict: boolean;
}

/** Longest name of an endpoint that is read: `[` IPv6 `]:65535` with room, as base64. */
const MAX_BOUND_LENGTH = 512;

/**
 * Compiles the filter's settings of a route; undefined when it has none, null when it says that there shall be no
 * session.
 */
export function compileSession(
  field: string,
  perFilter: Readonly<Record<string, Any>>,
): SessionPolicy | null | undefined {
  const config = Object.hasOwn(perFilter, STATEFUL_SESSION) ? perFilter[STATEFUL_SESSION] : undefined;
  if (config === undefined) return undefined;
  const here = at(field, `typed_per_filter_config[${STATEFUL_SESSION}]`);
  const { override } = unpack(here, config, StatefulSessionPerRouteSchema);
  switch (override.case) {
    case "disabled":
      return null;
    case "statefulSession":
      return compilePolicy(at(here, "stateful_session"), override.value);
    case undefined:
      throw invalid(here, "must set one of disabled, stateful_session");
  }
}

/** Whether a filter of a chain is Envoy's for sessions, without one of its own: routes say which they have. */
export function isSessionFilter(field: string, config: Any): boolean {
  return (
    holds(config, StatefulSessionSchema) &&
    unpack(field, config, StatefulSessionSchema).sessionState === undefined
  );
}

function compilePolicy(field: string, { sessionState, strict }: StatefulSession): SessionPolicy | null {
  const config = sessionState?.typedConfig;
  if (config === undefined) return null;
  const here = at(field, "session_state.typed_config");
  if (holds(config, HeaderBasedSessionStateSchema)) {
    const { name } = unpack(here, config, HeaderBasedSessionStateSchema);
    if (name === "") throw invalid(at(here, "name"), "must not be empty");
    return { carrier: { kind: "header", name: name.toLowerCase() }, strict };
  }
  if (!holds(config, CookieBasedSessionStateSchema)) {
    throw invalid(here, `is a ${typeName(config)}: use the cookie or the header based session state`);
  }
  const { cookie } = unpack(here, config, CookieBasedSessionStateSchema);
  if (cookie === undefined || cookie.name === "" || ![cookie.name, cookie.path].every(isCookieText))
    throw invalid(
      at(here, "cookie"),
      "must have a name, and no part with a semicolon or a control character",
    );
  const ttlMs = durationMs(at(here, "cookie.ttl"), cookie.ttl) ?? 0;
  const { name, path } = cookie;
  const ttlSeconds = ttlMs === 0 ? 0 : Math.max(1, Math.floor(ttlMs / 1000));
  return { carrier: { kind: "cookie", cookie: { name, path, ttlSeconds, attributes: "" } }, strict };
}

/** `host:port` of the endpoint that a request's session is bound to; "" = none. */
export function boundEndpoint({ carrier }: SessionPolicy, request: EngineRequest): string {
  if (carrier.kind === "header") return decodeEndpoint(headerValue(request.headers, carrier.name));
  const { name, path } = carrier.cookie;
  if (!isUnder(request.path, path)) return "";
  return decodeEndpoint(cookieValue(request.headers, name));
}

/** The response field that binds a session to `endpoint`, as name and value; undefined when it is bound to it already. */
export function bindingField(
  { carrier }: SessionPolicy,
  request: EngineRequest,
  boundTo: string,
  endpoint: string,
): readonly [name: string, value: string] | undefined {
  if (boundTo === endpoint) return undefined;
  const value = btoa(endpoint);
  if (carrier.kind === "header") return [carrier.name, value];
  if (!isUnder(request.path, carrier.cookie.path)) return undefined;
  return ["set-cookie", setCookieValue(carrier.cookie, value)];
}

/** Whether a cookie of that path goes with a request (RFC 6265 section 5.1.4). */
function isUnder(requestPath: string, cookiePath: string): boolean {
  if (cookiePath === "" || cookiePath === "/") return true;
  if (!requestPath.startsWith(cookiePath)) return false;
  const next = requestPath[cookiePath.length];
  return cookiePath.endsWith("/") || next === undefined || next === "/" || next === "?";
}

/**
 * Base64 of `host:port`; Envoy's newer cookies hold it as the first field of a message. What is neither is "", and a
 * name that no endpoint has finds none.
 */
function decodeEndpoint(value: string | undefined): string {
  if (value === undefined || value === "" || value.length > MAX_BOUND_LENGTH) return "";
  const digits = /^([A-Za-z0-9+/]+)={0,2}$/.exec(value)?.[1];
  if (digits === undefined || digits.length % 4 === 1) return "";
  const decoded = atob(digits);
  const isMessage = decoded.charCodeAt(0) === 0x0a && decoded.charCodeAt(1) <= decoded.length - 2;
  return isMessage ? decoded.slice(2, 2 + decoded.charCodeAt(1)) : decoded;
}
