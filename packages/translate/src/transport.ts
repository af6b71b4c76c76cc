import type { ClientTlsSettings } from "@tulle/api";
import type { EffectivePolicy } from "./destination-rules.js";
import type { MeshEndpoint, MeshService } from "./mesh-service.js";
import type { Translation } from "./translation.js";

/** How connections to a service are secured. Cluster and endpoints are made from the same answer. */
export type Transport =
  /** In the clear, to the application's own address. */
  | { readonly kind: "plaintext" }
  /** Mutual TLS with endpoints that are in the mesh, plaintext with the others. */
  | { readonly kind: "auto" }
  /** Mutual TLS with every endpoint, at its mesh address. */
  | {
      readonly kind: "mesh";
      /** SPIFFE ids that endpoints may present. */
      readonly identities: readonly string[];
      /** Undefined = the mesh's own. */
      readonly serverName: string | undefined;
    }
  /** In the clear, but to the mesh address: the sidecar decides whether it takes that. */
  | { readonly kind: "mesh-plaintext" }
  /** TLS as the user set it up, to the application's own address. */
  | { readonly kind: "originated"; readonly settings: ClientTlsSettings };

/**
 * The transport towards a service: what its DestinationRule says, else mutual TLS wherever both ends can (Istio's auto
 * mTLS).
 */
export function transportTo(t: Translation, service: MeshService, policy: EffectivePolicy): Transport {
  const { view } = t;
  const mode = policy.tls?.mode;
  if (policy.tls !== undefined && (mode === "SIMPLE" || mode === "MUTUAL")) {
    return { kind: "originated", settings: policy.tls };
  }
  if (!view.mtls) {
    if (mode === "ISTIO_MUTUAL")
      t.warn(`${service.host} asks for ISTIO_MUTUAL, but this client has no mesh certificate`);
    return { kind: "plaintext" };
  }
  if (mode === "ISTIO_MUTUAL") {
    return {
      kind: "mesh",
      identities: policy.tls?.subjectAltNames ?? service.identities,
      serverName: policy.tls?.sni,
    };
  }
  // A proxyless gRPC client has one transport for a whole cluster and may have no certificate of its own in reach, so it
  // uses mutual TLS where it is asked for only, as in Istio.
  if (service.meshed === "none" || view.dialect === "grpc") return { kind: "plaintext" };
  return mode === "DISABLE" ? { kind: "mesh-plaintext" } : { kind: "auto" };
}

/** Where an endpoint is called under a transport. */
export function addressUnder(
  transport: Transport,
  endpoint: MeshEndpoint,
): { readonly address: string; readonly port: number } {
  return transport.kind === "plaintext" || transport.kind === "originated"
    ? endpoint
    : (endpoint.mesh ?? endpoint);
}
