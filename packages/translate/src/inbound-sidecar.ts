import {
  declaredProtocol,
  type AppProtocol,
  type ConnectionPoolSettings,
  type SidecarIngress,
} from "@tulle/api";
import { sidecarOf } from "./sidecar-scope.js";
import type { Translation } from "./translation.js";

/** What the client's Sidecar says of a port of its workload. */
export function ingressOf(t: Translation, appPort: number): SidecarIngress | undefined {
  const sidecar = sidecarOf(t);
  const found = sidecar?.spec.ingress?.find(({ port }) => port.number === appPort);
  if (sidecar !== undefined && found !== undefined) t.own(sidecar);
  return found;
}

/** Limits of the connections to a port of the application, and of its requests: the port's own, else the workload's. */
export function inboundPool(t: Translation, appPort: number): ConnectionPoolSettings | undefined {
  const own = ingressOf(t, appPort)?.connectionPool;
  if (own !== undefined) return own;
  const sidecar = sidecarOf(t);
  const whole = sidecar?.spec.inboundConnectionPool;
  if (sidecar !== undefined && whole !== undefined) t.own(sidecar);
  return whole;
}

/** The protocol that a Sidecar declares for a port; undefined where it does not. */
export function ingressProtocol(t: Translation, appPort: number): AppProtocol | undefined {
  const declared = ingressOf(t, appPort)?.port.protocol;
  return declared === undefined ? undefined : declaredProtocol(declared);
}

/** Where the application listens: as its Sidecar says, else at its port on the loopback. */
export function applicationAddress(
  t: Translation,
  appPort: number,
): { readonly host: string; readonly port: number } {
  const written = ingressOf(t, appPort)?.defaultEndpoint;
  if (written === undefined) return { host: "127.0.0.1", port: appPort };
  const socket = /^unix:\/\/(.+)$/.exec(written)?.[1];
  if (socket !== undefined) return { host: socket, port: 0 };
  const colon = written.lastIndexOf(":");
  // Whoever listens on all addresses listens on the loopback too.
  const isV6 = written.startsWith("[");
  return { host: isV6 ? "::1" : "127.0.0.1", port: Number(written.slice(colon + 1)) };
}
