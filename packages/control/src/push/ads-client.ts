import { MeshError } from "@tulle/base";
import type { ClientView } from "@tulle/translate";
import { parseNode, type NodeMessage, type XdsNode } from "@tulle/xds";
import type { StreamPeer } from "../grpc/stream-expiry.js";

/** Who a stream's peer has proved to be: what of a certificate the xDS server needs. */
export interface AdsIdentity extends StreamPeer {
  /** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` */
  readonly spiffeId: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** The client at the other end of a stream, admitted. */
export interface AdsClient {
  readonly id: string;
  readonly dialect: string;
  /** "" when it does not say. */
  readonly version: string;
  /** SPIFFE id; "" for plaintext clients. */
  readonly identity: string;
  /** `host:port` of its admin listener, or "". */
  readonly admin: string;
  readonly view: ClientView;
  /** The view by which Secrets are given: they may be for some service accounts only. */
  readonly secretView: ClientView;
}

/** Namespace of a plaintext client that does not name one. */
const DEFAULT_NAMESPACE = "default";

/**
 * Checks that a client is who its node says. With a certificate it must be of that namespace and service account;
 * without one it may only speak dialect `grpc`, and only where `anonymous` clients are let in.
 *
 * Throws `invalid` XDS_BAD_NODE with every violation, `unauthenticated` XDS_NO_CERTIFICATE, `denied`
 * XDS_FOREIGN_NODE.
 */
export function admitClient(
  message: NodeMessage | undefined,
  identity: AdsIdentity | undefined,
  anonymous: boolean,
): AdsClient {
  if (message === undefined) {
    throw new MeshError("invalid", "XDS_BAD_NODE", "the first request of a stream must carry the node");
  }
  const parsed = parseNode(message);
  if (!parsed.ok) {
    const all = parsed.violations.map(({ path, message }) => `${path}: ${message}`).join("; ");
    throw new MeshError("invalid", "XDS_BAD_NODE", `the node is not valid: ${all}`);
  }
  const { node } = parsed;
  if (identity === undefined) requireAnonymous(node, anonymous);
  else requireSame(node, identity);
  const view: ClientView = {
    dialect: node.dialect,
    namespace: identity?.namespace ?? (node.namespace === "" ? DEFAULT_NAMESPACE : node.namespace),
    mtls: identity !== undefined,
    labels: node.labels,
    inbound: node.inbound,
    intercepts: node.intercepts,
    ...(node.gateway === undefined ? {} : { gateway: node.gateway }),
  };
  return {
    id: node.id,
    dialect: node.dialect,
    version: node.version,
    identity: identity?.spiffeId ?? "",
    admin: node.admin,
    view,
    secretView: { ...view, serviceAccount: identity?.serviceAccount ?? "" },
  };
}

function requireAnonymous(node: XdsNode, anonymous: boolean): void {
  if (!anonymous) throw noCertificate();
  if (node.dialect === "grpc") return;
  throw new MeshError(
    "unauthenticated",
    "XDS_NO_CERTIFICATE",
    `a ${node.dialect} client must show its certificate: connect to the TLS port`,
  );
}

/** Whoever has none is refused before a byte is read, where nobody else is let in. */
export function noCertificate(): MeshError {
  return new MeshError(
    "unauthenticated",
    "XDS_NO_CERTIFICATE",
    "this port serves clients with a certificate of this mesh only; get one with a join token",
  );
}

function requireSame(node: XdsNode, identity: AdsIdentity): void {
  // Of a hand-written bootstrap file no namespace is asked: then the certificate alone says it.
  const same =
    (node.namespace === "" || node.namespace === identity.namespace) &&
    (node.serviceAccount === "" || node.serviceAccount === identity.serviceAccount);
  // What a client serves, policies of its own namespace decide: it may not read another's.
  const foreign = node.inbound.find((port) => port.namespace !== identity.namespace);
  if (same && foreign === undefined) return;
  throw new MeshError(
    "denied",
    "XDS_FOREIGN_NODE",
    same
      ? `${identity.spiffeId} may not serve ${foreign?.service ?? ""} of namespace ${foreign?.namespace ?? ""}`
      : `the node claims account ${node.namespace}/${node.serviceAccount}, the certificate is ${identity.spiffeId}`,
  );
}
