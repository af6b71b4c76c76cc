import type { Sidecar, SidecarOptions } from "./options.js";

/** Starts a sidecar: listeners, identity, configuration, telemetry. */
export async function runSidecar(_options: SidecarOptions): Promise<Sidecar> {
  throw new Error("under construction");
}
