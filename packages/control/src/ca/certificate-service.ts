import { X509Certificate } from "node:crypto";

import { create } from "@bufbuild/protobuf";
import {
  MeshError,
  type Clock,
  type Logger,
  CONTROL_PLANE_ACCOUNT,
  CONTROL_PLANE_NAMESPACE,
  formatSpiffeId,
  TokenBucket,
} from "@tulle/base";
import { joinHeader } from "@tulle/http";
import { unaryMethod, type GrpcCallInfo, type GrpcServerMethod } from "@tulle/http/socket";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  IstioCertificateResponseSchema,
  IstioCertificateService,
  type IstioCertificateRequest,
} from "@tulle/xds/gen/istio/v1/auth/ca_pb.js";

import type { PeerIdentityOf } from "../grpc/peer-identity.js";
import { grpcFailureOf } from "../grpc/status.js";
import type { CertificateAuthority, Issued } from "./certificate-authority.js";
import { isJwt } from "../token-keys/index.js";
import type { JoinIssuers, ProvedAccount } from "./join-issuers.js";
import type { UsedTokens } from "./used-tokens.js";
import type { JoinTokens } from "./join-tokens.js";
import { readSigningRequest } from "./certificate-signing-request.js";
import { type WorkloadAccount } from "./workload-id.js";

export interface CertificateServiceOptions {
  readonly authority: CertificateAuthority;
  readonly joinTokens: JoinTokens;
  /** Whose tokens prove an account, beside join tokens; default nobody's. */
  readonly joinIssuers?: JoinIssuers;
  /** Tokens of join issuers that are used up. */
  readonly usedTokens: Pick<UsedTokens, "use">;
  readonly peerIdentity: PeerIdentityOf;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A certificate is about to be given to a caller. */
  readonly onIssued?: (issued: Issued, call: GrpcCallInfo) => void;
  /** Requests per second that are worked on, and how many at once; default 50 and 500. */
  readonly ratePerSecond?: number;
  readonly burst?: number;
}

/** How a caller proved its account. */
interface Proof {
  readonly account: WorkloadAccount;
  /** The mesh's, or the alias of it that the caller is known by. */
  readonly trustDomain: string;
  /** Set for a join token, which is used up when a certificate is issued. */
  readonly token: string | undefined;
  /** Set for a join issuer's token that joins once. */
  readonly use: ProvedAccount["use"];
  /** Serial number of the certificate that the caller holds. */
  readonly serialNumber: string | undefined;
}

/**
 * `istio.v1.auth.IstioCertificateService`: exchanges a CSR for a certificate, whose chain is followed by the roots. The caller proves its account with a
 * join token or the token of a join issuer (`authorization: Bearer …`, which wins when it has both) or with its current certificate; the certificate
 * is for that account whatever the request says. Address and host name of the caller prove nothing.
 */
export function createCertificateService(options: CertificateServiceOptions): readonly GrpcServerMethod[] {
  const { authority, logger } = options;
  const bucket = new TokenBucket(options.ratePerSecond ?? 50, options.burst ?? 500, options.clock);

  const issue = async (request: IstioCertificateRequest, call: GrpcCallInfo): Promise<Issued> => {
    if (!bucket.take()) {
      throw new MeshError(
        "exhausted",
        "CA_BUSY",
        "too many certificate requests at once; try again in a second",
      );
    }
    const proof = await prove(call, options);
    checkHints(request, proof.account);
    const wanted = {
      csrPem: request.csr,
      spiffeId: formatSpiffeId({ trustDomain: proof.trustDomain, ...proof.account }),
      ...(request.validityDuration > 0n && { ttlMs: Number(request.validityDuration) * 1000 }),
      ...(proof.serialNumber !== undefined && { replaces: proof.serialNumber }),
    };
    const { token, use } = proof;
    // A bad request must not cost the caller its token, so the request is checked first.
    if (token !== undefined || use !== undefined) await readSigningRequest(wanted.csrPem, wanted.spiffeId);
    if (token !== undefined && (await options.joinTokens.redeem(token)) === undefined) throw badToken();
    if (use !== undefined && !(await options.usedTokens.use(use.issuer, use.id, use.expiresAt))) {
      throw new MeshError(
        "unauthenticated",
        "CA_JOIN_USED",
        "the token has been used to join before: show a new one, or let its issuer's tokens be used again (once: false in --join-issuers)",
      );
    }
    return authority.issue(wanted);
  };

  const createCertificate = unaryMethod(
    grpcServiceDefinition(IstioCertificateService).createCertificate,
    async (request, call) => {
      try {
        const issued = await issue(request, call);
        options.onIssued?.(issued, call);
        const certChain = [...issued.certificateChainPem, authority.signer.trustBundlePem];
        return create(IstioCertificateResponseSchema, { certChain });
      } catch (thrown) {
        const error = MeshError.from(thrown);
        logger.warn("refused a certificate", { peer: call.peer.address, code: error.code, error });
        throw error;
      }
    },
    grpcFailureOf,
  );
  return [createCertificate];
}

async function prove(call: GrpcCallInfo, options: CertificateServiceOptions): Promise<Proof> {
  const authorization = joinHeader(call.metadata, "authorization");
  if (authorization !== undefined) {
    const token = bearerToken(authorization);
    const { trustDomain } = options.authority;
    if (token !== undefined && isJwt(token) && options.joinIssuers !== undefined) {
      const { account, use } = await options.joinIssuers.prove(token);
      return { account, trustDomain, token: undefined, use, serialNumber: undefined };
    }
    const account = token === undefined ? undefined : await options.joinTokens.peek(token);
    if (account === undefined) throw badToken();
    return { account, trustDomain, token, use: undefined, serialNumber: undefined };
  }
  const peer = options.peerIdentity(call);
  if (peer === undefined) {
    throw new MeshError(
      "unauthenticated",
      "CA_NO_PROOF",
      "send a join token (authorization: Bearer …) or connect with a certificate of this mesh that has not expired",
    );
  }
  const { namespace, serviceAccount, trustDomain } = peer;
  if (namespace === CONTROL_PLANE_NAMESPACE && serviceAccount === CONTROL_PLANE_ACCOUNT) {
    throw new MeshError("denied", "CA_RESERVED", "the control plane's own identity is not issued on request");
  }
  return {
    account: { namespace, serviceAccount },
    trustDomain,
    token: undefined,
    use: undefined,
    serialNumber: new X509Certificate(peer.certificateDer).serialNumber,
  };
}

/** Two of them are none: joined, they have a blank. */
function bearerToken(authorization: string): string | undefined {
  return /^Bearer ([^\s]{1,16384})$/i.exec(authorization)?.[1];
}

/** A caller may say who it thinks it is; a disagreement is a mistake or an attack, never a wish to be granted. */
function checkHints(request: IstioCertificateRequest, account: WorkloadAccount): void {
  checkHint(request, "Namespace", account.namespace);
  checkHint(request, "ServiceAccount", account.serviceAccount);
}

function checkHint(request: IstioCertificateRequest, name: string, proved: string): void {
  const { metadata } = request;
  if (metadata === undefined || !Object.hasOwn(metadata, name) || metadata[name] === proved) return;
  throw new MeshError(
    "denied",
    "CA_OTHER_IDENTITY",
    `metadata ${name} asks for another identity than the caller's, whose is "${proved}"; get a join token for that account`,
  );
}

function badToken(): MeshError {
  return new MeshError(
    "unauthenticated",
    "CA_JOIN_TOKEN",
    "the join token is unknown, used already or expired; get a new one (POST /tulle/v1/join-tokens)",
  );
}
