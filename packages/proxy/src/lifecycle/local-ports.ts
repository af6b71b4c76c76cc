import type { SidecarPorts } from "../options.js";
import type { TrafficOptions } from "./traffic.js";

type LocalPorts = Required<Pick<SidecarPorts, "admin" | "metrics" | "readiness">>;

/** Istio's. */
const DEFAULT_PORTS: LocalPorts = { admin: 15_000, metrics: 15_020, readiness: 15_021 };

/** The ports of what a sidecar serves itself, as the options ask for them; 0 = a free one. */
export function localPorts({ ports = {} }: Pick<TrafficOptions, "ports">): LocalPorts {
  const { admin, metrics, readiness } = { ...DEFAULT_PORTS, ...ports };
  return { admin, metrics, readiness };
}
