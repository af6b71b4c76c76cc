import { connect, type PeerCertificate } from "node:tls";

import { controlPlaneSpiffeId, MeshError, type Clock } from "@tulle/base";
import { peerChain, readLeaf, TrustBundles, verifySvid, type SvidRule } from "@tulle/base/spiffe";
import { parseAuthority } from "@tulle/http";
import { GrpcClient } from "@tulle/http/socket";

import type { Svid } from "./contract.js";
import { revocationsOf } from "./tls.js";

/** Where the control plane is, and whom to take for it. */
export interface ControlPlaneAddress {
  /** `host:port` of its TLS port. */
  readonly address: string;
  /** Roots that its certificate is verified against. */
  readonly rootCertificatePem: string;
  readonly trustDomain: string;
}

/** Largest message in either direction, bytes; the control plane has the same limit. */
export const MAX_GRPC_MESSAGE_BYTES = 16 * 1024 * 1024;

/** The server's name in TLS and `:authority`: where it is reached says nothing about who it is. */
const SERVER_NAME = "istiod.istio-system.svc";

/**
 * A gRPC client of the control plane over TLS, with the workload's certificate when it has one. The control plane is
 * known by its SPIFFE id, not by the name or address it is reached at: a workload's certificate of the same root does
 * not pass for it. Each has a connection of its own: a shared one could carry another identity's certificate. Dispose
 * it after use. Throws `invalid` AGENT_CONTROL_PLANE_ADDRESS.
 */
export function connectControlPlane(
  target: ControlPlaneAddress,
  svid: Svid | undefined,
  clock: Clock,
): GrpcClient {
  const expected = new Set([target.trustDomain, ...aliasesOf(svid)].map(controlPlaneSpiffeId));
  const socket = connect({
    ...hostAndPort(target.address),
    ca: target.rootCertificatePem,
    ...(svid === undefined ? {} : { cert: svid.certificateChainPem, key: svid.privateKeyPem }),
    servername: SERVER_NAME,
    ALPNProtocols: ["h2"],
    checkServerIdentity: (_host, certificate): Error | undefined => {
      const leaf = readLeaf(certificate.raw);
      if (leaf !== undefined && expected.has(leaf.spiffeId)) {
        const bundles = new TrustBundles({ [leaf.trustDomain]: target.rootCertificatePem });
        return revokedServer(certificate, {
          nowMs: clock.now(),
          bundles,
          revocations: svid && revocationsOf(svid),
        });
      }
      return new Error(
        `the server is ${leaf?.spiffeId ?? "no workload of a mesh"}, not ${[...expected].join(" or ")}`,
      );
    },
  });
  return new GrpcClient({
    socket,
    scheme: "https",
    authority: SERVER_NAME,
    clock,
    maxMessageBytes: MAX_GRPC_MESSAGE_BYTES,
  });
}

/** The handshake has verified the chain, and knows nothing of revocations. */
function revokedServer(certificate: PeerCertificate, rule: SvidRule): Error | undefined {
  if (rule.revocations === undefined) return undefined;
  const verdict = verifySvid(peerChain(certificate), rule);
  return verdict.ok ? undefined : new Error(verdict.reason);
}

/** Other names of the own trust domain: those with the very same roots. */
function aliasesOf(svid: Svid | undefined): readonly string[] {
  if (svid === undefined) return [];
  const { federatedBundles = {}, trustBundlePem } = svid;
  return Object.keys(federatedBundles).filter((name) => federatedBundles[name] === trustBundlePem);
}

function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const { host = "", port } = parseAuthority(address) ?? {};
  if (port === undefined) {
    throw new MeshError(
      "invalid",
      "AGENT_CONTROL_PLANE_ADDRESS",
      `${address} is no address of a control plane; give host:port of its TLS port`,
    );
  }
  return { host: host.replace(/^\[|\]$/g, ""), port };
}

/** The control plane's refusal, or the failure to reach it, as a MeshError AGENT_CONTROL_PLANE. */
export function controlPlaneError(target: ControlPlaneAddress, thrown: unknown): MeshError {
  const error = MeshError.from(thrown);
  const text =
    error.kind === "unavailable" || error.kind === "timeout"
      ? `cannot reach the control plane at ${target.address}: ${error.message}`
      : `the control plane at ${target.address} refused: ${error.message}`;
  return new MeshError(error.kind, "AGENT_CONTROL_PLANE", text, { source: "control", cause: error });
}
