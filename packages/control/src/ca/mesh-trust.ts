import { createHash } from "node:crypto";

import { DisposableStack, Emitter, type Disposable } from "@tulle/base";

import type { CertificateSigner } from "./signer.js";

export interface MeshTrustOptions {
  readonly signer: CertificateSigner;
  readonly trustDomain: string;
  /** Former or further names of the own trust domain: the same roots. */
  readonly trustDomainAliases: readonly string[];
  /** How long expired certificates still count, milliseconds. */
  readonly graceMs: number;
}

/** Whom the mesh trusts: the roots of each trust domain, which every workload is told of. */
export class MeshTrust implements Disposable {
  readonly #options: MeshTrustOptions;
  readonly #owned = new DisposableStack();
  readonly #changed = new Emitter<void>();
  #federated: Readonly<Record<string, string>> = {};

  constructor(options: MeshTrustOptions) {
    this.#options = options;
    this.#owned.use(options.signer.onChanged(() => this.#changed.emit()));
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
    const { signer, trustDomain, trustDomainAliases } = this.#options;
    const own = [trustDomain, ...trustDomainAliases].map((name) => [name, signer.trustBundlePem] as const);
    return { ...this.#federated, ...Object.fromEntries(own) };
  }

  /** Another whenever what workloads are told is another. */
  get version(): string {
    return createHash("sha256")
      .update(JSON.stringify([this.bundles, this.graceMs]))
      .digest("base64url")
      .slice(0, 16);
  }

  /** Roots of other trust domains by their names, PEM. */
  federate(bundles: Readonly<Record<string, string>>): void {
    this.#federated = bundles;
    this.#changed.emit();
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}
