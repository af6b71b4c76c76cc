import type { PeerCertificate } from "node:tls";

import { Client, credentials, status, type ChannelOptions, type ServiceError } from "@grpc/grpc-js";
import { MeshError, type ErrorKind, controlPlaneSpiffeId } from "@tulle/base";

import type { Svid } from "./contract.js";
import { readLeaf } from "./leaf.js";

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

const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.max_receive_message_length": MAX_GRPC_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_GRPC_MESSAGE_BYTES,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // The mesh itself is not reached through an HTTP proxy that the environment names for the application.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  // Each client has connections of its own: a shared one could carry another identity's certificate.
  "grpc.use_local_subchannel_pool": 1,
  // Sent as the server's name; without it grpc-js would send an IP address, which TLS forbids.
  "grpc.ssl_target_name_override": "istiod.istio-system.svc",
};

/**
 * A gRPC client of the control plane over TLS, with the workload's certificate when it has one. The control plane is
 * known by its SPIFFE id, not by the name or address it is reached at: a workload's certificate of the same root does
 * not pass for it. Close it after use.
 */
export function connectControlPlane(target: ControlPlaneAddress, svid: Svid | undefined): Client {
  const expected = controlPlaneSpiffeId(target.trustDomain);
  const channelCredentials = credentials.createSsl(
    Buffer.from(target.rootCertificatePem),
    svid === undefined ? null : Buffer.from(svid.privateKeyPem),
    svid === undefined ? null : Buffer.from(svid.certificateChainPem),
    {
      checkServerIdentity: (_host: string, certificate: PeerCertificate): Error | undefined => {
        const leaf = readLeaf(certificate.raw);
        if (leaf?.spiffeId === expected) return undefined;
        return new Error(`the server is ${leaf?.spiffeId ?? "no workload of a mesh"}, not ${expected}`);
      },
    },
  );
  return new Client(target.address, channelCredentials, CHANNEL_OPTIONS);
}

const KINDS: Partial<Record<status, ErrorKind>> = {
  [status.CANCELLED]: "canceled",
  [status.INVALID_ARGUMENT]: "invalid",
  [status.DEADLINE_EXCEEDED]: "timeout",
  [status.NOT_FOUND]: "not-found",
  [status.PERMISSION_DENIED]: "denied",
  [status.RESOURCE_EXHAUSTED]: "exhausted",
  [status.UNIMPLEMENTED]: "unimplemented",
  [status.UNAVAILABLE]: "unavailable",
  [status.UNAUTHENTICATED]: "unauthenticated",
};

/** The control plane's refusal, or the failure to reach it, as a MeshError AGENT_CONTROL_PLANE. */
export function controlPlaneError(target: ControlPlaneAddress, error: ServiceError): MeshError {
  const kind = KINDS[error.code] ?? "internal";
  const text =
    kind === "unavailable" || kind === "timeout"
      ? `cannot reach the control plane at ${target.address}: ${error.details}`
      : `the control plane at ${target.address} refused: ${error.details}`;
  return new MeshError(kind, "AGENT_CONTROL_PLANE", text, { source: "control", cause: error });
}
