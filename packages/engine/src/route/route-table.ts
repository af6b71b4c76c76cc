import type { RouteConfiguration } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import type { VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { VirtualHost_TlsRequirementType as TlsRequirement } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { ReplyPlan, RouteFilters } from "../contract.js";
import { compileRateLimits } from "../admit/rate-limit-descriptors.js";
import { compileRouteFilters, mergeRouteFilters } from "../admit/route-filters.js";
import { at, invalid } from "../snapshot/invalid.js";
import { provenanceOf } from "../snapshot/metadata.js";
import { compileMutations } from "./header-mutations.js";
import type { Mutations } from "./header-mutations.js";
import { tlsRequired } from "./reply.js";
import { compileRoute } from "./route-entry.js";
import { RouteIndex } from "./route-index.js";
import { createHostIndex } from "./virtual-hosts.js";
import type { HostIndex } from "./virtual-hosts.js";

/** A virtual host with its routes. */
export interface CompiledHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes: RouteIndex;
  /** The answer to plaintext requests when the host takes TLS only. */
  readonly tlsOnly: ReplyPlan | undefined;
}

/** A compiled RouteConfiguration. */
export interface RouteTable {
  readonly hosts: HostIndex<CompiledHost>;
  readonly allHosts: readonly CompiledHost[];
  /** Hosts are found without the authority's port. */
  readonly ignorePort: boolean;
  /** Every cluster that its routes name, without repetition. */
  readonly clusters: readonly string[];
}

/** Envoy's default for bodies of direct responses, bytes. */
const DEFAULT_DIRECT_BODY_BYTES = 4096;

/** Compiles a route table; `defaultIdleTimeoutMs` holds for routes that set none. */
export function compileRouteTable(
  field: string,
  config: RouteConfiguration,
  defaultIdleTimeoutMs: number,
): RouteTable {
  if (config.vhds !== undefined) throw invalid(at(field, "vhds"), "is not supported: send virtual_hosts");
  if (config.clusterSpecifierPlugins.some((plugin) => !plugin.isOptional)) {
    throw invalid(at(field, "cluster_specifier_plugins"), "are not supported");
  }
  const outer = {
    mutations: compileMutations(field, config),
    filters: compileRouteFilters(field, config, config.name),
  };
  const here = at(field, "virtual_hosts");
  const entries = config.virtualHosts.map((host, index) => ({
    domains: host.domains,
    host: compileHost(`${here}[${index}]`, host, config, outer, defaultIdleTimeoutMs),
  }));
  const clusters = new Set<string>();
  for (const { host } of entries)
    for (const route of host.routes.routes) for (const name of route.clusters) clusters.add(name);
  return {
    hosts: createHostIndex(here, entries, config.ignorePortInHostMatching),
    allHosts: entries.map(({ host }) => host),
    ignorePort: config.ignorePortInHostMatching,
    clusters: [...clusters],
  };
}

function compileHost(
  field: string,
  host: VirtualHost,
  config: RouteConfiguration,
  table: { readonly mutations: Mutations; readonly filters: RouteFilters },
  defaultIdleTimeoutMs: number,
): CompiledHost {
  if (host.name === "") throw invalid(at(field, "name"), "must not be empty");
  if (host.matcher !== undefined) throw invalid(at(field, "matcher"), "is not supported: use routes");
  if (host.requireTls === TlsRequirement.EXTERNAL_ONLY) {
    throw invalid(at(field, "require_tls"), "EXTERNAL_ONLY is not supported: use NONE or ALL");
  }
  const filters = [compileRouteFilters(field, host, `${config.name}/${host.name}`), table.filters];
  const context = {
    virtualHost: host,
    outer: [compileMutations(field, host), table.mutations],
    outerFilters: filters,
    hostRateLimits: compileRateLimits(at(field, "rate_limits"), host.rateLimits),
    tableName: config.name,
    specificWins: config.mostSpecificHeaderMutationsWins,
    defaultIdleTimeoutMs,
    maxDirectBodyBytes: config.maxDirectResponseBodySizeBytes ?? DEFAULT_DIRECT_BODY_BYTES,
  };
  const settings = {
    routeName: "",
    responseHeaders: [],
    filters: mergeRouteFilters(filters),
    rateLimits: undefined,
    provenance: provenanceOf(host.metadata),
  };
  return {
    name: host.name,
    domains: host.domains,
    routes: new RouteIndex(
      host.routes.map((route, index) => compileRoute(at(field, `routes[${index}]`), route, context)),
    ),
    tlsOnly: host.requireTls === TlsRequirement.ALL ? tlsRequired(settings) : undefined,
  };
}
