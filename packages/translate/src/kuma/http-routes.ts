import type { MeshHTTPMatch, MeshHTTPRouteRule, MeshHTTPRouteTo } from "@tulle/api";
import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { Frontend } from "../gateway-api/parents.js";
import { byPrecedence } from "../gateway-api/precedence.js";
import { ruleRoutes } from "../routes/rule-routes.js";
import type { Translation } from "../translation.js";
import { matchesAll, precedenceOf, ruleFor, type RuleParts } from "./http-rules.js";
import { MESH_HTTP_ROUTE } from "./kinds.js";
import { holdingItems, type HoldingItem } from "./policies.js";

/** Rules with the same matches, as one. */
interface MergedRule extends RuleParts {
  readonly matches: readonly MeshHTTPMatch[];
  /** The rule that counts most: it is named where the rule is told of. */
  readonly owner: Pick<HoldingItem<unknown>, "object" | "field">;
}

export interface KumaRoutes {
  readonly routes: readonly Route[];
  /** Whether no request is left for the service's default route, which takes what no rule matches. */
  readonly takeAll: boolean;
}

/** The routes of requests to a frontend by its MeshHTTPRoutes; undefined when none holds. */
export function meshHttpRoutes(t: Translation, frontend: Frontend): KumaRoutes | undefined {
  const items = holdingItems<MeshHTTPRouteTo>(t, MESH_HTTP_ROUTE, frontend);
  if (items.length === 0) return undefined;
  for (const { object } of items) t.own(object);
  const { service, port, listenerPort } = frontend;
  const called = { host: service.host, port: { number: port.number } };
  const ordered = mergedRules(items).flatMap((rule) =>
    rule.matches.map((match) => ({ match, rule, precedence: precedenceOf(match) })),
  );
  // A stable sort: among equals the rule that counts more comes first.
  ordered.sort((left, right) => byPrecedence(left.precedence, right.precedence));
  return {
    routes: ordered.flatMap(({ match, rule }) =>
      ruleRoutes(t, { rule: ruleFor(t, match, rule, called, listenerPort), ...rule.owner }, listenerPort),
    ),
    takeAll: ordered.some(({ match }) => matchesAll(match)),
  };
}

function mergedRules(items: readonly HoldingItem<MeshHTTPRouteTo>[]): readonly MergedRule[] {
  const rules = new Map<string, MergedRule>();
  for (const { item, object, field } of items) {
    (item.rules ?? []).forEach(({ matches, default: does }: MeshHTTPRouteRule, index) => {
      const key = JSON.stringify(matches);
      const known = rules.get(key);
      const filters = known?.filters ?? (does.filters && { value: does.filters, object });
      const backendRefs = known?.backendRefs ?? (does.backendRefs && { value: does.backendRefs, object });
      rules.set(key, {
        matches,
        owner: known?.owner ?? { object, field: `${field}.rules[${index}]` },
        ...(filters !== undefined && { filters }),
        ...(backendRefs !== undefined && { backendRefs }),
      });
    });
  }
  return [...rules.values()];
}
