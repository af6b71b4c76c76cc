import { createHash } from "node:crypto";

import { DisposableStack, type Clock, type Disposable, type Logger } from "@tulle/base";
import { parseCertificates, readCertificate } from "@tulle/base/spiffe";

import type { Coordination } from "../stores/coordination.js";
import type { CertificateSigner } from "./signer.js";

const PREFIX = "ca/intermediates/";
/** Former ones that are known, at most: the oldest make room. */
const MAX_FORMER = 16;

export interface KnownIntermediatesOptions {
  readonly signer: Pick<CertificateSigner, "intermediatesPem" | "onChanged">;
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The authorities between roots and leaves, those that signed here before among them, in the store until they end. What a former
 * one signed is still good, but callers are known by their leaf alone, so its path has to be known here.
 */
export class KnownIntermediates implements Disposable {
  readonly #options: KnownIntermediatesOptions;
  readonly #owned = new DisposableStack();
  /** By key, in order of use. */
  readonly #known = new Map<string, readonly Uint8Array[]>();
  #chains: readonly (readonly Uint8Array[])[] = [];

  private constructor(options: KnownIntermediatesOptions) {
    this.#options = options;
  }

  /** Loads what is known. */
  static async open(options: KnownIntermediatesOptions): Promise<KnownIntermediates> {
    const known = new KnownIntermediates(options);
    const stored = await options.coordination.range(PREFIX);
    for (const { key, value } of stored.toSorted((a, b) => a.createRevision - b.createRevision))
      known.#known.set(key, derOf(Buffer.from(value).toString()));
    await known.#update();
    known.#owned.use(
      options.signer.onChanged(() => {
        known.#update().catch((error: unknown) =>
          options.logger.error(
            "could not keep the authority: certificates of it will not be known after the next one",
            {
              error,
            },
          ),
        );
      }),
    );
    return known;
  }

  /** Each a way from leaves to the roots, in DER; the present one first, empty where roots sign. */
  get chains(): readonly (readonly Uint8Array[])[] {
    return this.#chains;
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  async #update(): Promise<void> {
    const { signer, coordination } = this.#options;
    const pem = signer.intermediatesPem;
    const present = derOf(pem);
    const key = PREFIX + createHash("sha256").update(pem).digest("hex");
    const isNew = present.length > 0 && !this.#known.has(key);
    if (present.length > 0) {
      this.#known.delete(key);
      this.#known.set(key, present);
    }
    const gone = [...this.#known].flatMap(([one, chain], index) =>
      this.#hasEnded(chain) || index < this.#known.size - MAX_FORMER - 1 ? [one] : [],
    );
    for (const one of gone) this.#known.delete(one);
    const former = [...this.#known].filter(([one]) => one !== key).map(([, chain]) => chain);
    this.#chains = [present, ...former.toReversed()];
    await coordination.txn(
      [],
      [
        ...(isNew ? [{ op: "put" as const, key, value: Buffer.from(pem) }] : []),
        ...gone.map((one) => ({ op: "delete" as const, key: one })),
      ],
    );
  }

  #hasEnded(chain: readonly Uint8Array[]): boolean {
    const nowMs = this.#options.clock.now();
    return chain.some((der) => (readCertificate(der)?.notAfter ?? 0) <= nowMs);
  }
}

function derOf(pem: string): readonly Uint8Array[] {
  return parseCertificates(pem).map(({ raw }) => raw);
}
