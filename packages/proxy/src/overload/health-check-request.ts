import { getHeader, type HeaderList } from "@tulle/http";

/** How health checks of sidecars and of Envoy name themselves. */
const CHECKERS: ReadonlySet<string> = new Set(["Tulle/HC", "Envoy/HC"]);

/**
 * Whether a sidecar of the mesh asks how its instance is: a burdened one that does not answer would lose all its
 * requests to others, who would be burdened next. Strangers are not believed.
 */
export function isHealthCheck(headers: HeaderList, peerSpiffeId: string): boolean {
  return peerSpiffeId !== "" && CHECKERS.has(getHeader(headers, "user-agent") ?? "");
}
