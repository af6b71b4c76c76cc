import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import type { HttpFilter } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { isSessionFilter } from "../affinity/session.js";
import type { AdmissionStep } from "../contract.js";
import { holds, typeName } from "../snapshot/any.js";
import { invalid } from "../snapshot/invalid.js";
import { filterKind } from "./filter-kinds.js";

/** A filter of a chain, in its place. */
export interface ChainFilter {
  /** What routes call it in `typed_per_filter_config`. */
  readonly name: string;
  /** What it does where the route says nothing; undefined = nothing. */
  readonly own: AdmissionStep | undefined;
  /** Only routes that say so have it. */
  readonly disabled: boolean;
}

/**
 * Compiles the filters of a connection manager. The router must come last. One that this engine does not have is refused
 * unless it is optional or disabled: what an authorization filter guards would be open.
 */
export function compileChainFilters(
  field: string,
  filters: readonly HttpFilter[],
  chainName: string,
): readonly ChainFilter[] {
  const last = filters[filters.length - 1]?.configType;
  if (last?.case !== "typedConfig" || !holds(last.value, RouterSchema)) {
    throw invalid(field, `must end with a ${RouterSchema.typeName}`);
  }
  const compiled: ChainFilter[] = [];
  filters.slice(0, -1).forEach((filter, index) => {
    const here = `${field}[${index}]`;
    const config = filter.configType;
    const any = config.case === "typedConfig" ? config.value : undefined;
    const kind = any === undefined ? undefined : filterKind(typeName(any));
    if (any !== undefined && kind !== undefined) {
      const place = `${chainName}/${filter.name}`;
      const own = kind.compile(`${here}.typed_config`, any, place);
      compiled.push({ name: filter.name, own, disabled: filter.disabled });
    } else if (any !== undefined && isSessionFilter(here, any)) {
      // Endpoints are picked by it; it admits nobody and refuses nobody.
      return;
    } else if (!filter.isOptional && !filter.disabled) {
      const type = any === undefined ? "by config_discovery" : typeName(any);
      throw invalid(
        here,
        `filter ${JSON.stringify(filter.name)} (${type}) is not supported and not optional`,
      );
    }
  });
  return compiled;
}
