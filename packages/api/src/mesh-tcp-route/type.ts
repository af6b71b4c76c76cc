import type { KumaBackendRef, KumaDestination, KumaPolicySpec } from "../kuma/type.js";

/** Where connections go, in Kuma's vocabulary (`MeshTCPRoute`). Everything here is valid. */
export interface MeshTCPRouteSpec extends KumaPolicySpec {
  readonly to?: readonly MeshTCPRouteTo[];
}

export interface MeshTCPRouteTo {
  readonly targetRef: KumaDestination;
  /** At most one. */
  readonly rules: readonly { readonly default: { readonly backendRefs?: readonly KumaBackendRef[] } }[];
}
