import { MeshError } from "@tulle/base";
import type { DecisionView, EngineRequest, NoRoute, Routed } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import { boundEndpoint } from "../affinity/session.js";
import { Chain } from "../snapshot/chain.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";
import { pathEnd } from "./path-test.js";
import { takes, type RouteEntry } from "./route-entry.js";
import { Split } from "./split.js";
import { withoutPort } from "./virtual-hosts.js";
import { Way } from "./way.js";

const NO_ROUTE: NoRoute = { kind: "no-route" };

/**
 * Finds the way of a request: virtual host by authority, its first route whose conditions all hold, one of the route's
 * clusters by weight. Equal views and requests give equal results. Allocates nothing of its own.
 *
 * Measured on one core of a small virtual machine (Node 20; 20 exact domains, 5 routes with a header match before a
 * 90/10 split, 16 request headers, 8 endpoints, least request): `route` 265 ns, `route` and `pick` 370 ns.
 */
export function route(view: DecisionView, chain: HttpChain, request: EngineRequest): Routed {
  if (!(chain instanceof Chain)) {
    throw new MeshError(
      "internal",
      "ENGINE_FOREIGN_CHAIN",
      "the chain does not come from a snapshot of this engine",
    );
  }
  const host = chain.routes?.hosts.find(chain.stripPort ? withoutPort(request.authority) : request.authority);
  if (host === undefined) return NO_ROUTE;
  if (host.tlsOnly !== undefined && request.scheme === "http") return host.tlsOnly;
  const end = pathEnd(request.path);
  for (const entry of host.routes) {
    if (!takes(entry, request, end, view.entropy)) continue;
    const { target } = entry;
    if (target instanceof Way) return target.plan(view.snapshot);
    if (target instanceof Split) return chooseWay(view, entry, target, request).plan(view.snapshot);
    return target;
  }
  return NO_ROUTE;
}

/** By weight; but where the session's endpoint is, when it is anywhere. */
function chooseWay(
  view: DecisionView,
  { session }: RouteEntry,
  split: Split<Way>,
  request: EngineRequest,
): Way {
  if (session !== undefined) {
    const boundTo = boundEndpoint(session, request);
    const home = boundTo === "" ? undefined : split.choices.find((way) => has(view, way, boundTo));
    if (home !== undefined) return home;
  }
  return split.choose(view.entropy);
}

function has({ snapshot }: DecisionView, way: Way, endpoint: string): boolean {
  const cluster = snapshot.cluster(way.settings.clusterName);
  return cluster instanceof LinkedCluster && cluster.indexOf(endpoint) >= 0;
}
