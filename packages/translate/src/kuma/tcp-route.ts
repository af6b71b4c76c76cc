import type { MeshTCPRouteTo } from "@tulle/api";
import type { TcpProxy } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { Frontend } from "../gateway-api/parents.js";
import { proxyByRule } from "../routes/l4-rule.js";
import type { Translation } from "../translation.js";
import { destinationOf } from "./backends.js";
import { MESH_TCP_ROUTE } from "./kinds.js";
import { holdingItems } from "./policies.js";

/** Where connections to a frontend go by its MeshTCPRoutes; undefined when none says. */
export function meshTcpRoute(t: Translation, frontend: Frontend): TcpProxy | undefined {
  for (const { object, item, field } of holdingItems<MeshTCPRouteTo>(t, MESH_TCP_ROUTE, frontend)) {
    t.own(object);
    const [rule] = item.rules;
    const backends = rule?.default.backendRefs ?? [];
    if (backends.length === 0) continue;
    const route = backends.map(({ weight = 1, ...reference }) => ({
      destination: destinationOf(t, reference, object.metadata.namespace),
      weight,
    }));
    return proxyByRule(t, { object, route, field: `${field}.rules[0]` }, frontend.listenerPort);
  }
  return undefined;
}
