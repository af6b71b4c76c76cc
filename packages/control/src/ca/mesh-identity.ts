import { randomBytes } from "node:crypto";

import type { AuthorityStatus } from "@tulle/api";
import { DisposableStack, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import type { GrpcCallInfo, GrpcServerMethod } from "@tulle/http/socket";

import { createPeerIdentity, type PeerIdentityOf } from "../grpc/peer-identity.js";
import type { ServerCertificateProvider } from "../grpc/server-credentials.js";
import type { Coordination } from "../stores/coordination.js";
import {
  createCertificateAuthority,
  type CertificateAuthority,
  type Issued,
} from "./certificate-authority.js";
import { createCertificateService } from "./certificate-service.js";
import { Federation, type FederatedTrustDomain } from "./federation/index.js";
import type { FetchText } from "../token-keys/index.js";
import { JoinIssuers, type JoinIssuer } from "./join-issuers.js";
import { UsedTokens } from "./used-tokens.js";
import { createJoinTokens, type JoinTokens } from "./join-tokens.js";
import { DirectorySigner } from "./directory-signer.js";
import { KnownIntermediates } from "./known-intermediates.js";
import { JwtAuthority } from "./jwt-authority.js";
import { createJwtSvidService } from "./jwt-svid-service.js";
import { MeshTrust } from "./mesh-trust.js";
import { Revocation } from "./revocation.js";
import { RootRollover } from "./root-rollover.js";
import { SelfSignedSigner } from "./self-signed-signer.js";
import { createServerIdentity } from "./server-identity.js";
import type { CertificateSigner } from "./signer.js";
import { TrustDistribution } from "./trust-distribution.js";
import { VaultSigner, type VaultSignerOptions } from "./vault-signer.js";

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
  /** Directory with an authority under the user's root, in the layout of Istio's `cacerts`. */
  readonly caDirectory?: string;
  /** HashiCorp Vault signs. */
  readonly vault?: Pick<VaultSignerOptions, "address" | "mount" | "role" | "tokenFile" | "namespace">;
  /** Whose tokens prove a workload's account, beside join tokens. */
  readonly joinIssuers?: readonly JoinIssuer[];
  /** Other trust domains whose workloads are let in. */
  readonly federation?: readonly FederatedTrustDomain[];
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
  /** A certificate is about to be given to a caller. */
  readonly onIssued?: (issued: Issued, call: GrpcCallInfo) => void;
  /** How keys of join issuers are fetched, by the URL that is written; default: behind the guard. */
  readonly fetchFor?: ((configured: string) => FetchText) | undefined;
}

/** All that makes and knows identities: the certificate authority, who is trusted, who asks. */
export interface MeshIdentity extends Disposable {
  readonly authority: CertificateAuthority;
  readonly joinTokens: JoinTokens;
  /** Whose tokens prove accounts, too. */
  readonly joinIssuers: JoinIssuers;
  readonly trust: MeshTrust;
  readonly rollover: RootRollover;
  readonly revocation: Revocation;
  /** Tells who made a call. */
  readonly peerIdentity: PeerIdentityOf;
  /** The control plane's own certificate. */
  readonly server: ServerCertificateProvider;
  /** For the gRPC port. */
  readonly methods: readonly GrpcServerMethod[];
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
  const { coordination, clock, logger, onIssued } = parts;
  const owned = new DisposableStack();
  try {
    const signer = await openSigner(options, parts);
    const authority = owned.use(
      await createCertificateAuthority({ ...options, ...parts, ...(signer && { signer }) }),
    );
    const jwtAuthority = owned.use(await JwtAuthority.open(parts));
    const revocation = owned.use(await Revocation.open({ ...parts, authority }));
    const { signer: signs } = authority;
    const trust = owned.use(
      new MeshTrust({ signer: signs, jwtAuthority, revocation, trustDomain, trustDomainAliases, graceMs }),
    );
    const intermediates = owned.use(await KnownIntermediates.open({ ...parts, signer: signs }));
    const peerIdentity = createPeerIdentity({
      trustBundlePem: () => authority.signer.trustBundlePem,
      intermediates: () => intermediates.chains,
      revocationListsPem: () => revocation.listsPem,
      changes: trust.onChanged,
      trustDomain,
      trustDomainAliases,
      clock,
    });
    const distribution = owned.use(new TrustDistribution({ trust, identify: peerIdentity, clock, logger }));
    const ownDomains = [trustDomain, ...trustDomainAliases];
    owned.use(await Federation.open({ ...parts, domains: options.federation ?? [], trust, ownDomains }));
    const rollover = owned.use(new RootRollover({ authority, distribution, clock, logger }));
    // An expired root must be replaced before anything is signed.
    await rollover.start();
    const joinIssuers = new JoinIssuers({
      issuers: options.joinIssuers ?? [],
      clock,
      fetchFor: parts.fetchFor,
    });
    const usedTokens = new UsedTokens({ coordination, clock });
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
      joinIssuers,
      trust,
      rollover,
      revocation,
      peerIdentity,
      server,
      methods: [
        ...createCertificateService({
          authority,
          joinTokens,
          joinIssuers,
          usedTokens,
          peerIdentity,
          clock,
          logger,
          ...(onIssued && { onIssued }),
        }),
        ...distribution.methods(),
        ...createJwtSvidService({ authority: jwtAuthority, peerIdentity, clock }),
      ],
      status: () => statusOf(authority, distribution, revocation, graceMs),
      [Symbol.dispose]: () => owned[Symbol.dispose](),
    };
  } catch (thrown) {
    owned[Symbol.dispose]();
    throw thrown;
  }
}

/** The signer that was asked for; undefined: roots of the mesh's own. */
async function openSigner(
  { caDirectory, vault }: IdentityOptions,
  { clock, logger }: MeshIdentityParts,
): Promise<CertificateSigner | undefined> {
  if (caDirectory !== undefined && vault !== undefined) {
    throw new MeshError("invalid", "CA_SIGNERS", "--ca-dir and --vault-address exclude each other");
  }
  if (caDirectory !== undefined)
    return DirectorySigner.open({ directory: caDirectory, clock, randomBytes, logger });
  return vault === undefined ? undefined : VaultSigner.open({ ...vault, clock, logger });
}

function statusOf(
  { trustDomain, certificateTtlMs, signer }: CertificateAuthority,
  { pending }: TrustDistribution,
  revocation: Revocation,
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
    revocation: revocation.status(),
    graceMs,
  };
}

/** When the first of those that sign now ends. */
function firstEnd(certificates: NonNullable<AuthorityStatus["certificates"]>): number {
  const signing = certificates.filter(({ phase }) => phase === "active" || phase === "issuer");
  return Math.min(...signing.map(({ notAfter }) => notAfter));
}
