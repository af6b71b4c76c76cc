import type { AuthorityStatus } from "@tulle/api";
import { DisposableStack, type Clock, type Disposable, type Logger } from "@tulle/base";

import { createPeerIdentity, type PeerIdentityOf } from "../grpc/peer-identity.js";
import type { GrpcService } from "../grpc/server.js";
import type { ServerCertificateProvider } from "../grpc/server-credentials.js";
import type { Coordination } from "../stores/coordination.js";
import { createCertificateAuthority, type CertificateAuthority } from "./certificate-authority.js";
import { createCertificateService } from "./certificate-service.js";
import { createJoinTokens, type JoinTokens } from "./join-tokens.js";
import { MeshTrust } from "./mesh-trust.js";
import { RootRollover } from "./root-rollover.js";
import { SelfSignedSigner } from "./self-signed-signer.js";
import { createServerIdentity } from "./server-identity.js";
import { TrustDistribution } from "./trust-distribution.js";

/** How the mesh's identities are made; what users choose. */
export interface IdentityOptions {
  /** `cluster.local` */
  readonly trustDomain: string;
  /** Other names of the trust domain, which have the same roots: to move from one name to another. */
  readonly trustDomainAliases?: readonly string[];
  /** Life of workloads' certificates, milliseconds; default 24 h, at least 5 s. */
  readonly certificateTtlMs?: number;
  /** Life of a root, milliseconds; default ten years. Replaced by itself when a third is left. */
  readonly rootTtlMs?: number;
  /** How long expired certificates still count, milliseconds; default 0. */
  readonly expiredCertificateGraceMs?: number;
  /** Names and addresses that clients reach the control plane by, beside those that it always has. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

export interface MeshIdentityParts {
  readonly coordination: Coordination;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** All that makes and knows identities: the certificate authority, who is trusted, who asks. */
export interface MeshIdentity extends Disposable {
  readonly authority: CertificateAuthority;
  readonly joinTokens: JoinTokens;
  readonly trust: MeshTrust;
  readonly rollover: RootRollover;
  /** Tells who made a call. */
  readonly peerIdentity: PeerIdentityOf;
  /** The control plane's own certificate. */
  readonly server: ServerCertificateProvider;
  /** For the gRPC port. */
  readonly services: readonly GrpcService[];
  status(): AuthorityStatus;
}

/** Names and addresses that clients may call the control plane by, whatever else it is reached at. */
const SERVER_NAMES = ["localhost", "istiod.istio-system.svc"];
const SERVER_ADDRESSES = ["127.0.0.1", "::1"];

/** Opens the identities of a mesh. Errors: those of `createCertificateAuthority`. */
export async function openMeshIdentity(
  options: IdentityOptions,
  parts: MeshIdentityParts,
): Promise<MeshIdentity> {
  const { trustDomain, trustDomainAliases = [], expiredCertificateGraceMs: graceMs = 0 } = options;
  const { coordination, clock, logger } = parts;
  const owned = new DisposableStack();
  try {
    const authority = owned.use(await createCertificateAuthority({ ...options, ...parts }));
    const { signer } = authority;
    const trust = owned.use(new MeshTrust({ signer, trustDomain, trustDomainAliases, graceMs }));
    const peerIdentity = createPeerIdentity({
      trustBundlePem: () => signer.trustBundlePem,
      intermediatesPem: () => signer.intermediatesPem,
      trustDomain,
      trustDomainAliases,
      clock,
    });
    const distribution = owned.use(new TrustDistribution({ trust, identify: peerIdentity, clock, logger }));
    const rollover = owned.use(new RootRollover({ authority, distribution, clock, logger }));
    // An expired root must be replaced before anything is signed.
    await rollover.start();
    const joinTokens = createJoinTokens({ coordination, clock });
    const server = owned.use(
      await createServerIdentity({
        authority,
        dnsNames: [...new Set([...SERVER_NAMES, ...(options.dnsNames ?? [])])],
        ipAddresses: [...new Set([...SERVER_ADDRESSES, ...(options.ipAddresses ?? [])])],
        ...parts,
      }),
    );
    return {
      authority,
      joinTokens,
      trust,
      rollover,
      peerIdentity,
      server,
      services: [
        createCertificateService({ authority, joinTokens, peerIdentity, clock, logger }),
        distribution.service(),
      ],
      status: () => statusOf(authority, distribution, graceMs),
      [Symbol.dispose]: () => owned[Symbol.dispose](),
    };
  } catch (thrown) {
    owned[Symbol.dispose]();
    throw thrown;
  }
}

function statusOf(
  { trustDomain, certificateTtlMs, signer }: CertificateAuthority,
  { pending }: TrustDistribution,
  graceMs: number,
): AuthorityStatus {
  const certificates = signer.certificates().map(({ id, phase, notBefore, notAfter }) => ({
    id,
    phase,
    notBefore,
    notAfter,
  }));
  const nextRotationAt = signer instanceof SelfSignedSigner ? signer.nextRotationAt : undefined;
  return {
    trustDomain,
    rootNotAfter: firstEnd(certificates),
    certificateTtlMs,
    signer: signer.kind,
    certificates,
    ...(nextRotationAt !== undefined && { nextRotationAt }),
    unacknowledged: pending,
    graceMs,
  };
}

/** When the first of those that sign now ends. */
function firstEnd(certificates: NonNullable<AuthorityStatus["certificates"]>): number {
  const signing = certificates.filter(({ phase }) => phase === "active" || phase === "issuer");
  return Math.min(...signing.map(({ notAfter }) => notAfter));
}
