import { normalizePath, type HeaderList } from "@tulle/http";
import type { DecisionView, EngineRequest, Plan, RedirectPlan, ReplyPlan } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import { headerValue, sameName } from "./header-value.js";
import { route } from "./route.js";

/** The redirects that a request has followed: one object per exchange, empty at its beginning. */
export interface FollowedRedirects {
  count: number;
  /** `from\0to` of the routes. */
  readonly ways: string[];
}

/** Where a request goes on instead of its client, and as what. */
export interface Redirection {
  readonly request: EngineRequest;
  readonly routed: Plan | ReplyPlan;
  /** A 303 asks for the other thing by GET, without the body. */
  readonly dropsBody: boolean;
}

/**
 * Whether an answer's redirect is followed inside of the proxy, as the route's policy says; a string says why not, and
 * the client gets the answer. The new request is routed in the same chain: a redirect to a host that the chain does not
 * serve is the client's business. Whoever follows it notes so in `followed` (`noteRedirect`).
 *
 * Other than with Envoy a `location` may be relative, as RFC 9110 (10.2.2) has it.
 */
export function internalRedirect(
  view: DecisionView,
  chain: HttpChain,
  plan: Plan,
  request: EngineRequest,
  answer: { readonly status: number; readonly headers: HeaderList },
  followed: FollowedRedirects,
): Redirection | string {
  const policy = plan.redirects;
  if (policy === undefined || !policy.statuses.has(answer.status)) return "the route follows no such answer";
  if (followed.count >= policy.max) return `${policy.max} redirects have been followed already`;
  const target = resolve(request, headerValue(answer.headers, "location"));
  if (target === undefined) return "its location is no http URL";
  const isDowngrade = target.scheme !== request.scheme && request.scheme === "http";
  if (target.scheme !== request.scheme && !policy.crossesSchemes) return "it leads to another scheme";
  if (policy.keepsSafe && isDowngrade) return "it leads to a scheme that the client did not use";
  const dropsBody = answer.status === 303 && request.method !== "GET" && request.method !== "HEAD";
  const next: EngineRequest = {
    ...target,
    clientCertificate: request.clientCertificate === true,
    path: normalizePath(target.path, chain.pathNormalization),
    method: dropsBody ? "GET" : request.method,
    headers: headersFor(request, target, policy, answer.headers, dropsBody),
  };
  const routed = route(view, chain, next);
  if (routed.kind === "no-route") return "there is no route to where it leads";
  if (policy.allowedRoutes !== undefined && !policy.allowedRoutes.has(routed.routeName))
    return `it leads to route ${routed.routeName}, which is not allowed`;
  if (policy.avoidsPrevious && followed.ways.includes(wayBetween(plan, routed)))
    return `route ${routed.routeName} has been redirected to before`;
  return { request: next, routed, dropsBody };
}

/** `redirection` is followed from `plan` now. */
export function noteRedirect(followed: FollowedRedirects, plan: Plan, { routed }: Redirection): void {
  followed.count++;
  followed.ways.push(wayBetween(plan, routed));
}

function wayBetween(from: Plan, to: Plan | ReplyPlan): string {
  return `${from.routeName}\0${to.routeName}`;
}

type Target = Pick<EngineRequest, "scheme" | "authority" | "path">;

/** `//host/path` and `http://host/path`; the path may be missing, a fragment stays with the client. */
const URL_OR_AUTHORITY = /^(?:(https?):)?\/\/([^/?#\s\\@]+)(?=[/?#]|$)([^#]*)/i;
const UNUSABLE = /[\0-\x20\x7f\\]/;

function resolve(request: EngineRequest, location: string | undefined): Target | undefined {
  if (location === undefined || UNUSABLE.test(location)) return undefined;
  const found = URL_OR_AUTHORITY.exec(location);
  if (found !== null) {
    const [, scheme = request.scheme, authority = "", rest = ""] = found;
    const path = rest.startsWith("/") ? rest : `/${rest}`;
    return {
      scheme: scheme.toLowerCase() === "https" ? "https" : "http",
      authority: authority.toLowerCase(),
      path,
    };
  }
  const path = location.split("#", 1)[0]!;
  if (!path.startsWith("/") || path.startsWith("//")) return undefined;
  return { scheme: request.scheme, authority: request.authority, path };
}

/** Of a request without a body. */
const OF_BODY: readonly string[] = [
  "content-length",
  "content-type",
  "content-encoding",
  "transfer-encoding",
  "expect",
  "trailer",
];

function headersFor(
  request: EngineRequest,
  target: Target,
  { copiedHeaders }: RedirectPlan,
  answered: HeaderList,
  dropsBody: boolean,
): HeaderList {
  const headers: HeaderList = [];
  for (let i = 0; i < request.headers.length; i += 2) {
    const name = request.headers[i]!;
    if (sameName(name, "x-envoy-original-url") || copiedHeaders.some((copied) => sameName(name, copied)))
      continue;
    if (dropsBody && OF_BODY.some((known) => sameName(name, known))) continue;
    headers.push(name, sameName(name, "host") ? target.authority : request.headers[i + 1]!);
  }
  headers.push("x-envoy-original-url", `${request.scheme}://${request.authority}${request.path}`);
  for (const name of copiedHeaders) {
    const value = headerValue(answered, name);
    if (value !== undefined) headers.push(name, value);
  }
  return headers;
}
