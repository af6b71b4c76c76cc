import type { ControlPlaneAddress, Svid } from "@tulle/agent";
import { systemClock } from "@tulle/base";

import { requestSvid } from "../../packages/agent/src/certificate-client.js";
import type { Mesh } from "./mesh.js";

export const TRUST_DOMAIN = "cluster.local";

/** Where the certificates of a mesh come from. */
export async function controlPlaneOf(mesh: Mesh): Promise<ControlPlaneAddress> {
  const { addresses, rootCertificatePem, trustDomain } = await mesh.client.info();
  return { address: addresses.xds, rootCertificatePem, trustDomain };
}

/** A one-time token for an account of the namespace `default`. */
export async function joinToken(mesh: Mesh, serviceAccount: string): Promise<string> {
  return (await mesh.client.joinToken({ namespace: "default", serviceAccount })).token;
}

/** A certificate for an account of the namespace `default`, as a workload gets it. */
export function svidOf(
  controlPlane: ControlPlaneAddress,
  serviceAccount: string,
  proof: Parameters<typeof requestSvid>[0]["proof"],
): Promise<Svid> {
  const id = { trustDomain: controlPlane.trustDomain, namespace: "default", serviceAccount };
  return requestSvid({ controlPlane, id, proof, timeoutMs: 5000, clock: systemClock });
}
