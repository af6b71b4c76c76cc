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
import type { Translation } from "../translation.js";
import type { Guarded } from "./holding-policies.js";
import { rbacOf, type TranslatedRbac } from "./rbac.js";

/** In the order in which they decide. CUSTOM without somebody to ask refuses what it would ask about. */
const ORDER: readonly AuthorizationAction[] = ["CUSTOM", "AUDIT", "DENY", "ALLOW"];

/** Istio's names of the filters, one for each action. */
function filterName(action: AuthorizationAction): string {
  return `istio.authorization.${action.toLowerCase()}`;
}

/** The HTTP filters that guard requests to a port. */
export function authorizationFilters(t: Translation, guarded: Guarded): readonly HttpFilter[] {
  return ORDER.flatMap((action) => {
    const rbac = rbacOf(t, action, guarded, false);
    if (rbac === undefined) return [];
    return [
      create(HttpFilterSchema, {
        name: filterName(action),
        configType: { case: "typedConfig", value: packed(HttpRbacSchema, rbac) },
      }),
    ];
  });
}

/**
 * The filters of a chain that takes requests for several ports, told apart by virtual host: those of the first, and in each
 * virtual host what holds for its own port.
 */
export function authorizationFiltersByHost(
  t: Translation,
  hosts: readonly { readonly host: VirtualHost; readonly guarded: Guarded }[],
): readonly HttpFilter[] {
  return ORDER.flatMap((action) => {
    const name = filterName(action);
    const found = hosts.map(({ guarded }) => rbacOf(t, action, guarded, false));
    if (found.every((rbac) => rbac === undefined)) return [];
    hosts.forEach(({ host }, index) => (host.typedPerFilterConfig[name] = perRoute(found[index])));
    const own = found.find((rbac) => rbac !== undefined);
    const value = packed(HttpRbacSchema, own);
    return [create(HttpFilterSchema, { name, configType: { case: "typedConfig", value } })];
  });
}

/** Without policies the filter does nothing there. */
function perRoute(rbac: TranslatedRbac | undefined): Any {
  return packed(RBACPerRouteSchema, rbac === undefined ? {} : { rbac });
}

/** The network filters that guard connections which carry bytes. */
export function connectionGuards(t: Translation, guarded: Guarded, statPrefix: string): readonly Filter[] {
  return ORDER.flatMap((action) => {
    const rbac = rbacOf(t, action, guarded, true);
    if (rbac === undefined) return [];
    const value = packed(NetworkRbacSchema, { ...rbac, statPrefix: `${statPrefix}.` });
    return [
      create(FilterSchema, {
        name: filterName(action),
        configType: { case: "typedConfig", value },
      }),
    ];
  });
}
