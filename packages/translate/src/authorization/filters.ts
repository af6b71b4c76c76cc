import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { AuthorizationAction } from "@tulle/api";
import { FilterSchema, type Filter } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  RBACPerRouteSchema,
  RBACSchema as HttpRbacSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import {
  HttpFilterSchema,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RBACSchema as NetworkRbacSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { packed } from "../messages.js";
import { jwtFilters } from "../request-authentication/jwt-filter.js";
import type { Translation } from "../translation.js";
import { askedProviders, askingConnectionFilter, askingFilter, askingRbac, isAnswered } from "./custom.js";
import type { Guarded } from "./holding-policies.js";
import { rbacOf, type TranslatedRbac } from "./rbac.js";

/**
 * In the order in which they decide, behind those that ask. CUSTOM without somebody to ask refuses what it would ask about.
 */
const ORDER: readonly AuthorizationAction[] = ["CUSTOM", "AUDIT", "DENY", "ALLOW"];

/** Istio's names of the filters, one for each action. */
function filterName(action: AuthorizationAction): string {
  return `istio.authorization.${action.toLowerCase()}`;
}

function askingName(provider: string): string {
  return `istio.authorization.custom.${provider}`;
}

/** One RBAC filter of a chain. */
interface Guard {
  readonly name: string;
  /** What it does for something that is guarded; undefined = nothing. */
  rbac(guarded: Guarded): TranslatedRbac | undefined;
  /** Comes behind it. */
  readonly next?: HttpFilter;
}

function guardsOf(t: Translation, guarded: readonly Guarded[]): readonly Guard[] {
  const asking = askedProviders(t, guarded, false).map((provider): Guard => ({
    name: askingName(provider),
    rbac: (one) => askingRbac(t, provider, one, false),
    next: askingFilter(t, provider),
  }));
  const deciding = ORDER.map((action): Guard => ({
    name: filterName(action),
    rbac: (one) => decidingRbac(t, action, one, false),
  }));
  return [...asking, ...deciding];
}

/** What decides without asking: of CUSTOM only policies that nobody can be asked by. */
function decidingRbac(
  t: Translation,
  action: AuthorizationAction,
  guarded: Guarded,
  bytes: boolean,
): TranslatedRbac | undefined {
  return rbacOf(t, action, guarded, bytes, (policy) => action !== "CUSTOM" || !isAnswered(t, policy, bytes));
}

/** Actions that go by what a token says. */
const BEHIND_TOKENS = (["AUDIT", "DENY", "ALLOW"] as const).map(filterName);

/**
 * The filters of a chain with those that verify tokens among them: behind who is asked outside, and sees the request as it
 * came, before what goes by tokens.
 */
function withAuthentication(
  guards: readonly HttpFilter[],
  authentication: readonly HttpFilter[],
): readonly HttpFilter[] {
  const found = guards.findIndex(({ name }) => BEHIND_TOKENS.includes(name));
  const at = found < 0 ? guards.length : found;
  return [...guards.slice(0, at), ...authentication, ...guards.slice(at)];
}

/** The HTTP filters that guard requests to a port: who is asked outside, tokens, policies. */
export function authorizationFilters(t: Translation, guarded: Guarded): readonly HttpFilter[] {
  const guards = guardsOf(t, [guarded]).flatMap((guard) => filtersOf(guard, guard.rbac(guarded)));
  // Routes of gateways may go by what tokens say.
  return withAuthentication(guards, jwtFilters(t, guarded, guarded.gateways !== undefined));
}

/**
 * The filters of a chain that takes requests for several ports, told apart by virtual host: those of the first, and in each
 * virtual host what holds for its own port.
 */
export function authorizationFiltersByHost(
  t: Translation,
  hosts: readonly { readonly host: VirtualHost; readonly guarded: Guarded }[],
): readonly HttpFilter[] {
  const guards = guardsOf(
    t,
    hosts.map(({ guarded }) => guarded),
  );
  const filters = guards.flatMap((guard) => {
    const found = hosts.map(({ guarded }) => guard.rbac(guarded));
    if (found.every((rbac) => rbac === undefined)) return [];
    hosts.forEach(({ host }, index) => (host.typedPerFilterConfig[guard.name] = perRoute(found[index])));
    return filtersOf(
      guard,
      found.find((rbac) => rbac !== undefined),
    );
  });
  // Tokens are verified in one way for all ports of the chain.
  const services = hosts.flatMap(({ guarded }) => guarded.services);
  return withAuthentication(filters, jwtFilters(t, { services, port: undefined }));
}

function filtersOf({ name, next }: Guard, rbac: TranslatedRbac | undefined): readonly HttpFilter[] {
  if (rbac === undefined) return [];
  const filter = create(HttpFilterSchema, {
    name,
    configType: { case: "typedConfig", value: packed(HttpRbacSchema, rbac) },
  });
  return next === undefined ? [filter] : [filter, next];
}

/** Without policies the filter does nothing there. */
function perRoute(rbac: TranslatedRbac | undefined): Any {
  return packed(RBACPerRouteSchema, rbac === undefined ? {} : { rbac });
}

/** The network filters that guard connections which carry bytes. */
export function connectionGuards(t: Translation, guarded: Guarded, statPrefix: string): readonly Filter[] {
  const filtersFor = (name: string, rbac: TranslatedRbac | undefined, next: readonly Filter[]): Filter[] => {
    if (rbac === undefined) return [];
    const value = packed(NetworkRbacSchema, { ...rbac, statPrefix: `${statPrefix}.` });
    return [create(FilterSchema, { name, configType: { case: "typedConfig", value } }), ...next];
  };
  const asking = askedProviders(t, [guarded], true).flatMap((provider) =>
    filtersFor(askingName(provider), askingRbac(t, provider, guarded, true), [
      askingConnectionFilter(t, provider),
    ]),
  );
  const deciding = ORDER.flatMap((action) =>
    filtersFor(filterName(action), decidingRbac(t, action, guarded, true), []),
  );
  return [...asking, ...deciding];
}
