import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";

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
  const own = tls.svid?.spiffeId ?? "";
  const trustDomains = new Set(chain.trustDomains.length > 0 ? chain.trustDomains : [trustDomainOf(own)]);
  const verdict = tls.judge(socket, { trustDomains });
  if (!verdict.ok) return verdict.reason;
  const { spiffeId, der } = verdict;
  return {
    spiffeId,
    forwardedClientCert: () => {
      const hash = createHash("sha256").update(der).digest("hex");
      return `By=${own};Hash=${hash};Subject="";URI=${spiffeId}`;
    },
  };
}
