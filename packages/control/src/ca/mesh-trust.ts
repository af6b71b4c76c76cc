import { createHash } from "node:crypto";

import { DisposableStack, Emitter, type Disposable } from "@tulle/base";

import type { JwtAuthority } from "./jwt-authority.js";
import type { Revocation } from "./revocation.js";
import type { CertificateSigner } from "./signer.js";

export interface MeshTrustOptions {
  readonly signer: CertificateSigner;
  readonly jwtAuthority: JwtAuthority;
  /** What the authorities have taken back; absent: nothing. */
  readonly revocation?: Pick<Revocation, "listsPem" | "onChanged">;
  readonly trustDomain: string;
  /** Former or further names of the own trust domain: the same roots. */
  readonly trustDomainAliases: readonly string[];
  /** How long expired certificates still count, milliseconds. */
  readonly graceMs: number;
}

/** What is known of another trust domain. */
export interface FederatedBundle {
  readonly trustDomain: string;
  /** Its roots. */
  readonly x509Pem: string;
  /** Keys of its JWT-SVIDs: a JWK Set, JSON. */
  readonly jwks: string;
}

/** Whom the mesh trusts: the roots of each trust domain, which every workload is told of. */
export class MeshTrust implements Disposable {
  readonly #options: MeshTrustOptions;
  readonly #owned = new DisposableStack();
  readonly #changed = new Emitter<void>();
  #federated: readonly FederatedBundle[] = [];

  constructor(options: MeshTrustOptions) {
    this.#options = options;
    this.#owned.use(options.signer.onChanged(() => this.#changed.emit()));
    const { revocation } = options;
    if (revocation !== undefined) this.#owned.use(revocation.onChanged(() => this.#changed.emit()));
    this.#owned.use(options.jwtAuthority.onChanged(() => this.#changed.emit()));
  }

  readonly onChanged = this.#changed.event;

  get trustDomain(): string {
    return this.#options.trustDomain;
  }

  get graceMs(): number {
    return this.#options.graceMs;
  }

  /** Roots by trust domain, PEM. A federated domain never replaces the own one's roots. */
  get bundles(): Readonly<Record<string, string>> {
    return this.#byDomain(this.#options.signer.trustBundlePem, ({ x509Pem }) => x509Pem);
  }

  /** Revocation lists of the authorities, PEM; "" = none. */
  get revocationListsPem(): string {
    return this.#options.revocation?.listsPem ?? "";
  }

  /** Keys of JWT-SVIDs by trust domain: JWK Sets, JSON. */
  get jwtBundles(): Readonly<Record<string, string>> {
    return this.#byDomain(this.#options.jwtAuthority.jwks, ({ jwks }) => jwks);
  }

  /** Another whenever what workloads are told is another. */
  get version(): string {
    return createHash("sha256")
      .update(JSON.stringify([this.bundles, this.revocationListsPem, this.jwtBundles, this.graceMs]))
      .digest("base64url")
      .slice(0, 16);
  }

  /** Other trust domains that are trusted from now on, all of them. */
  federate(bundles: readonly FederatedBundle[]): void {
    this.#federated = bundles;
    this.#changed.emit();
  }

  #byDomain(own: string, of: (bundle: FederatedBundle) => string): Record<string, string> {
    const { trustDomain, trustDomainAliases } = this.#options;
    return Object.fromEntries([
      ...this.#federated.map((bundle) => [bundle.trustDomain, of(bundle)] as const),
      ...[trustDomain, ...trustDomainAliases].map((name) => [name, own] as const),
    ]);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}
