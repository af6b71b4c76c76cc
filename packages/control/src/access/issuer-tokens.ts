import { formatSpiffeId, MeshError } from "@tulle/base";
import { decodeJwt } from "jose";

import type { JoinIssuers } from "../ca/index.js";
import { isJwt } from "../token-keys/index.js";
import type { VerifyBearer } from "./authenticator.js";

/**
 * Tokens of those issuers that workloads may join by (Kubernetes, clouds, CIs) as bearer tokens: whoever shows one is the
 * workload of its account, as with that account's certificate. What does not verify is nobody's; rejects when the issuer
 * cannot be asked.
 */
export function issuerTokens(issuers: Pick<JoinIssuers, "accountOf">, trustDomain: string): VerifyBearer {
  return async (token) => {
    if (!isJwt(token)) return undefined;
    try {
      const account = await issuers.accountOf(token);
      // Read after somebody has vouched for it.
      const { exp } = decodeJwt(token);
      if (exp === undefined) return undefined;
      const { namespace, serviceAccount } = account;
      return {
        subject: {
          name: formatSpiffeId({ trustDomain, namespace, serviceAccount }),
          role: "workload",
          namespaces: [namespace],
          serviceAccount,
        },
        expiresAt: exp * 1000,
      };
    } catch (thrown) {
      const { kind } = MeshError.from(thrown);
      if (kind === "unauthenticated" || kind === "denied") return undefined;
      throw thrown;
    }
  };
}
