import { MeshError } from "@tulle/base";
import type { DecisionView, EngineRequest, NoRoute, Plan, Routed } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import { Chain } from "../snapshot/chain.js";
import { HeaderWay } from "./header-way.js";
import { homeWay } from "./home-way.js";
import { pathEnd } from "./path-end.js";
import { tracePlan } from "./plan-trace.js";
import { NO_POINT } from "./split-key.js";
import { Split } from "./split.js";
import { withoutPort } from "./virtual-hosts.js";
import { traceHost, traceRoutes, traceSplit, traceTlsOnly } from "./trace-route.js";
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
  const { trace, entropy, snapshot } = view;
  const authority = chain.stripPort ? withoutPort(request.authority) : request.authority;
  const host = chain.routes?.hosts.find(authority);
  if (trace !== undefined) traceHost(trace, chain, host, authority);
  if (host === undefined) return NO_ROUTE;
  if (host.tlsOnly !== undefined && request.scheme === "http") {
    if (trace !== undefined) traceTlsOnly(trace, host);
    return host.tlsOnly;
  }
  const end = pathEnd(request.path);
  const entry = host.routes.first(request, end, entropy, snapshot.runtime);
  if (trace !== undefined) traceRoutes(trace, host, entry, request, entropy, snapshot.runtime);
  if (entry === undefined) return NO_ROUTE;
  const { target } = entry;
  if (target instanceof Way) return traced(view, target.plan(snapshot));
  if (target instanceof HeaderWay) return traced(view, target.plan(snapshot, request));
  if (target instanceof Split) {
    const home = entry.session === undefined ? undefined : homeWay(view, entry.session, target, request);
    if (home !== undefined) {
      if (trace !== undefined) traceSplit(trace, target, home, "session");
      return traced(view, home.plan(snapshot));
    }
    const keyed = entry.splitBy === undefined ? NO_POINT : entry.splitBy.pointOf(request, target, entropy);
    const point = keyed === NO_POINT ? target.draw(entropy) : keyed;
    const way = target.at(point);
    // The key of a request is the same for all of its kind; without one it is chance again.
    if (trace !== undefined) traceSplit(trace, target, way, keyed === NO_POINT ? "chance" : "key", point);
    return traced(view, way.plan(snapshot));
  }
  return target;
}

function traced(view: DecisionView, plan: Plan): Plan {
  if (view.trace !== undefined) tracePlan(view.trace, plan);
  return plan;
}
