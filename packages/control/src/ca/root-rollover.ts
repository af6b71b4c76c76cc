import {
  DisposableStack,
  MeshError,
  MutableDisposable,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";

import type { CertificateAuthority } from "./certificate-authority.js";
import { rotationStep, type RotationStep } from "./root-rotation.js";
import { SelfSignedSigner } from "./self-signed-signer.js";
import type { TrustDistribution } from "./trust-distribution.js";

/** How often it is looked whether something is due, milliseconds. */
const LOOK_EVERY_MS = 1000;
/** A failed step is tried again after this long, milliseconds. */
const RETRY_MS = 5000;
const MAX_MIN_DISTRIBUTION_MS = 30_000;
const MAX_DISTRIBUTION_MS = 3_600_000;

export interface RootRolloverOptions {
  readonly authority: CertificateAuthority;
  readonly distribution: Pick<TrustDistribution, "pending" | "onAccepted">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Replaces the authority's root before it ends, or when told to, in the steps of `rotationStep`. */
export class RootRollover implements Disposable {
  readonly #options: RootRolloverOptions;
  readonly #owned = new DisposableStack();
  readonly #timer = new MutableDisposable<Timer>();
  #working: Promise<void> = Promise.resolve();
  #disposed = false;

  constructor(options: RootRolloverOptions) {
    this.#options = options;
    this.#owned.use(this.#timer);
    this.#owned.use(options.distribution.onAccepted(() => this.#schedule(0)));
  }

  /** Does what is due now, and goes on looking. */
  async start(): Promise<void> {
    await this.#look();
  }

  /**
   * Makes the next root now. The rest follows by itself. Errors: `invalid` CA_ROTATE_SIGNER where the roots are not the
   * mesh's own, `conflict` CA_ROTATING while the next root is on its way, `exhausted` CA_ROOTS.
   */
  async rotate(): Promise<void> {
    const signer = this.#signer;
    if (signer === undefined) {
      const { kind } = this.#options.authority.signer;
      throw new MeshError(
        "invalid",
        "CA_ROTATE_SIGNER",
        `the roots are not the mesh's own (signer: ${kind}); replace them where they come from`,
      );
    }
    await this.#turn(async () => {
      if (signer.roots.some(({ phase }) => phase === "next")) {
        throw new MeshError(
          "conflict",
          "CA_ROTATING",
          "the next root is being handed out already; see `tulle ca status`",
        );
      }
      await signer.carryOut({ kind: "prepare" }, 0);
    });
    this.#schedule(0);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#owned[Symbol.dispose]();
  }

  get #signer(): SelfSignedSigner | undefined {
    const { signer } = this.#options.authority;
    return signer instanceof SelfSignedSigner ? signer : undefined;
  }

  #schedule(delayMs: number): void {
    if (this.#disposed) return;
    this.#timer.value = this.#options.clock.setTimeout(() => void this.#look(), delayMs, {
      keepAlive: false,
    });
  }

  async #look(): Promise<void> {
    let nextMs = LOOK_EVERY_MS;
    try {
      await this.#turn(() => this.#advance());
    } catch (thrown) {
      this.#options.logger.error("could not replace the root; trying again", { error: thrown });
      nextMs = RETRY_MS;
    }
    this.#schedule(nextMs);
  }

  /** One after another: steps are made from what the one before left. */
  #turn(work: () => Promise<void>): Promise<void> {
    const turn = this.#working.then(work);
    this.#working = turn.catch(() => undefined);
    return turn;
  }

  async #advance(): Promise<void> {
    const signer = this.#signer;
    if (signer === undefined) return;
    const { authority } = this.#options;
    for (let step = this.#due(signer); step !== undefined && !this.#disposed; step = this.#due(signer)) {
      await signer.carryOut(step, authority.lastNotAfter());
    }
  }

  #due(signer: SelfSignedSigner): RotationStep | undefined {
    const { clock, authority, distribution } = this.#options;
    const { certificateTtlMs } = authority;
    return rotationStep(signer.roots, {
      nowMs: clock.now(),
      acknowledged: distribution.pending.length === 0,
      minDistributionMs: Math.min(certificateTtlMs / 4, MAX_MIN_DISTRIBUTION_MS),
      maxDistributionMs: Math.min(certificateTtlMs / 2, MAX_DISTRIBUTION_MS),
    });
  }
}
