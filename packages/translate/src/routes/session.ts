import type { Any } from "@bufbuild/protobuf/wkt";
import type { SessionPersistence } from "@tulle/api";
import { StatefulSessionPerRouteSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { CookieBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.js";
import { HeaderBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/header/v3/header_pb.js";
import { durationOfText } from "../duration.js";
import { packed } from "../messages.js";

/** Name of Envoy's filter, and the key of a route's settings for it. */
export const SESSION_FILTER = "envoy.filters.http.stateful_session";

/** How clients of a service stay with the instance that they have. */
export interface SessionRequest {
  readonly carrier:
    | {
        readonly kind: "cookie";
        readonly name: string;
        readonly path: string;
        /** Go duration; undefined: until the browser ends its session. */
        readonly ttl?: string | undefined;
      }
    | { readonly kind: "header"; readonly name: string };
  /** A request whose instance is gone fails instead of going to another one. */
  readonly strict: boolean;
}

const COOKIE_LABEL = "istio.io/persistent-session";
const HEADER_LABEL = "istio.io/persistent-session-header";
const STRICT_LABEL = "tulle.dev/persistent-session-strict";

/**
 * What a service's labels or annotations ask for: `istio.io/persistent-session: <cookie>[:<path>]` or
 * `istio.io/persistent-session-header: <header>`, as with Istio. Undefined when they ask for nothing.
 */
export function sessionOfLabels(labels: Readonly<Record<string, string>>): SessionRequest | undefined {
  const get = (key: string): string => (Object.hasOwn(labels, key) ? labels[key]!.trim() : "");
  const strict = get(STRICT_LABEL) === "true";
  const header = get(HEADER_LABEL);
  if (isToken(header)) return { carrier: { kind: "header", name: header.toLowerCase() }, strict };
  const cookie = get(COOKIE_LABEL);
  const colon = cookie.indexOf(":");
  const name = colon < 0 ? cookie : cookie.slice(0, colon);
  const path = colon < 0 ? "/" : cookie.slice(colon + 1);
  return isToken(name) ? { carrier: { kind: "cookie", name, path }, strict } : undefined;
}

/** What a route of the Gateway API asks for. */
export function sessionOfPersistence(
  { type, sessionName, absoluteTimeout, cookieConfig }: SessionPersistence,
  defaultName: string,
): SessionRequest {
  const name = sessionName ?? defaultName;
  if (type === "Header") return { carrier: { kind: "header", name: name.toLowerCase() }, strict: false };
  const ttl = cookieConfig?.lifetimeType === "Permanent" ? absoluteTimeout : undefined;
  return { carrier: { kind: "cookie", name, path: "/", ttl }, strict: false };
}

/** The settings of a route for {@link SESSION_FILTER}. */
export function sessionConfig({ carrier, strict }: SessionRequest): Any {
  const typedConfig =
    carrier.kind === "header"
      ? packed(HeaderBasedSessionStateSchema, { name: carrier.name })
      : packed(CookieBasedSessionStateSchema, {
          cookie: {
            name: carrier.name,
            path: carrier.path,
            ...(carrier.ttl !== undefined && { ttl: durationOfText(carrier.ttl) }),
          },
        });
  const sessionState = { name: `envoy.http.stateful_session.${carrier.kind}`, typedConfig };
  return packed(StatefulSessionPerRouteSchema, {
    override: { case: "statefulSession", value: { sessionState, strict } },
  });
}

/** A name of a cookie or header (RFC 9110 section 5.6.2). */
function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/.test(text);
}
