import type { Any } from "@bufbuild/protobuf/wkt";
import { FilterConfigSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { RouteFilter, RouteFilters } from "../contract.js";
import { holds, typeName, unpack } from "../snapshot/any.js";
import { routeFilterKind } from "./filter-kinds.js";

/** A message with filter configuration: a route table, a virtual host, a route, a weighted cluster. */
export interface FilterSource {
  readonly typedPerFilterConfig: Readonly<Record<string, Any>>;
}

const NONE: RouteFilters = new Map();

/**
 * Compiles the `typed_per_filter_config` of one level. What no filter of this engine reads is left out: a chain with such
 * a filter is refused unless the filter is optional. `place` names the level, for what must differ between places and
 * be the same in every process.
 */
export function compileRouteFilters(field: string, source: FilterSource, place: string): RouteFilters {
  const names = Object.keys(source.typedPerFilterConfig);
  if (names.length === 0) return NONE;
  const filters = new Map<string, RouteFilter>();
  for (const name of names) {
    const here = `${field === "" ? "" : `${field}.`}typed_per_filter_config[${JSON.stringify(name)}]`;
    const filter = compileOne(here, source.typedPerFilterConfig[name]!, `${place}/${name}`);
    if (filter !== undefined) filters.set(name, filter);
  }
  return filters;
}

/** What holds for a route: of each filter the most specific word. `levels` go from the most specific one outwards. */
export function mergeRouteFilters(levels: readonly RouteFilters[]): RouteFilters | undefined {
  const said = levels.filter((level) => level.size > 0);
  if (said.length <= 1) return said[0];
  return new Map(said.toReversed().flatMap((level) => [...level]));
}

/** Clusters of services that the steps of some levels ask. */
export function askedClusters(levels: readonly RouteFilters[]): readonly string[] {
  return levels.flatMap((level) =>
    [...level.values()].flatMap((filter) =>
      typeof filter === "object" && "clusters" in filter ? (filter.clusters ?? []) : [],
    ),
  );
}

function compileOne(field: string, any: Any, place: string): RouteFilter | undefined {
  if (!holds(any, FilterConfigSchema)) return compileStep(field, any, place);
  const { config, disabled } = unpack(field, any, FilterConfigSchema);
  if (disabled) return "disabled";
  if (config === undefined || config.typeUrl === "") return "enabled";
  return compileStep(`${field}.config`, config, place);
}

function compileStep(field: string, any: Any, place: string): RouteFilter | undefined {
  const kind = routeFilterKind(typeName(any));
  if (kind === undefined) return undefined;
  return kind.compileRoute(field, any, place) ?? "disabled";
}
