import type { Mesh } from "./mesh.js";
import { clusterOf, type Workload } from "./workload.js";

/** Server name by which sidecars call port 8080 of the service `web`. */
export const WEB_SNI = "outbound_.8080_._.web.default.svc.cluster.local";

/** Makes a mesh strict, with `caller`, a sidecar that calls the application `web` at `web:8080`, which it knows. */
export async function startStrictPair(
  mesh: Mesh,
): Promise<{ readonly caller: Workload; readonly web: Workload }> {
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
`);
  const [caller, web] = await Promise.all([
    mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] }),
    mesh.run({ service: "web" }),
  ]);
  await caller.knows(clusterOf("web"), 1);
  return { caller, web };
}
