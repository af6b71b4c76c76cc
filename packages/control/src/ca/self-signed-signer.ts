import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { Emitter, MeshError, type Clock, type Disposable, type Logger } from "@tulle/base";
import { joinPem } from "@tulle/base/spiffe";

import type { Coordination } from "../stores/coordination.js";
import { crossSign, importSigningKey, makeRoot, SIGNING_ALGORITHM } from "./make-root.js";
import { rotationDueAt, type RotationStep } from "./root-rotation.js";
import { RootStore, unreadable, type RootsRevision, type StoredRoot } from "./root-store.js";
import { serialNumber, type RandomBytes } from "./serial-number.js";
import { signLeaf, type Issuer } from "./sign-leaf.js";
import type { AuthorityCertificate, CertificateSigner, SignedLeaf, SignRequest } from "./signer.js";

/** Roots at once, at most: faster rotation than certificates end would pile them up. */
const MAX_ROOTS = 16;

export interface SelfSignedOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly trustDomain: string;
  /** Former names of the trust domain, which the stored roots may be of. */
  readonly trustDomainAliases: readonly string[];
  /** Life of a newly made root, milliseconds. */
  readonly rootTtlMs: number;
  readonly logger: Logger;
}

/** The mesh's own roots, kept in the store. One of them signs; see {@link RotationStep} for how it is replaced. */
export class SelfSignedSigner implements CertificateSigner {
  readonly kind = "self-signed";
  readonly #options: SelfSignedOptions;
  readonly #store: RootStore;
  readonly #changed = new Emitter<void>();
  readonly #watch: Disposable;
  #state: RootsRevision;
  #issuer: Issuer;

  private constructor(options: SelfSignedOptions, store: RootStore, state: RootsRevision, issuer: Issuer) {
    this.#options = options;
    this.#store = store;
    this.#state = state;
    this.#issuer = issuer;
    this.#watch = store.watch(() => void this.#reload());
  }

  readonly onChanged = this.#changed.event;

  /**
   * Loads the roots, or makes the first. Of several control planes that start at once, one makes it and the others load
   * that. Errors: `invalid` CA_TRUST_DOMAIN when the store was made for another trust domain, CA_ROOT when what is stored
   * is no root.
   */
  static async open(options: SelfSignedOptions): Promise<SelfSignedSigner> {
    const { trustDomain, trustDomainAliases, logger } = options;
    const store = new RootStore(options.coordination);
    let state = await store.load();
    if (state.roots.length === 0) {
      const root = await newRoot(options, "active");
      if (await store.save(state.revision, trustDomain, [root])) {
        logger.info("made a new root certificate", { trustDomain, root: root.id });
      }
      state = await store.load();
    }
    if (state.trustDomain !== trustDomain) {
      if (!trustDomainAliases.includes(state.trustDomain)) throw otherDomain(state.trustDomain, trustDomain);
      await store.save(state.revision, trustDomain, state.roots);
      state = await store.load();
    }
    return new SelfSignedSigner(options, store, state, await issuerOf(state.roots));
  }

  get trustBundlePem(): string {
    return joinPem(this.#inOrder().map(({ certificatePem }) => certificatePem));
  }

  get intermediatesPem(): string {
    return joinPem(this.#issuer.chainPem);
  }

  /** As they are stored. */
  get roots(): readonly StoredRoot[] {
    return this.#state.roots;
  }

  /** When the root that signs will be replaced. */
  get nextRotationAt(): number | undefined {
    const active = this.roots.find(({ phase }) => phase === "active");
    return active === undefined ? undefined : rotationDueAt(active);
  }

  certificates(): readonly AuthorityCertificate[] {
    return this.#inOrder().map(({ id, phase, certificatePem, notBefore, notAfter }) => ({
      id,
      phase,
      pem: certificatePem,
      notBefore,
      notAfter,
    }));
  }

  async sign(request: SignRequest): Promise<SignedLeaf> {
    const { notAfterMs } = this.#issuer;
    if (request.nowMs >= notAfterMs) {
      throw new MeshError(
        "unavailable",
        "CA_ROOT_EXPIRED",
        `the root certificate expired at ${new Date(notAfterMs).toISOString()}; it is being replaced, try again`,
      );
    }
    return signLeaf(this.#issuer, serialNumber(this.#options.randomBytes), request);
  }

  /**
   * Carries out a step of the rotation. `retireAt`: until when the root that signs now must stay trusted once another
   * does. Errors: `exhausted` CA_ROOTS when there are too many roots already.
   */
  async carryOut(step: RotationStep, retireAt: number): Promise<void> {
    const { logger } = this.#options;
    const { revision, roots } = this.#state;
    const next = await this.#after(step, retireAt);
    if (!(await this.#store.save(revision, this.#options.trustDomain, next))) {
      logger.info("another control plane has changed the roots; following it");
    } else if (step.kind === "prepare") {
      logger.info("made the next root certificate; workloads learn to trust it before it signs");
    } else if (step.kind === "promote") {
      const level = step.unacknowledged ? "warn" : "info";
      logger[level](
        "the next root signs from now on; the former one stays trusted until its certificates end",
        {
          everybodyTrustsIt: !step.unacknowledged,
          retireAt: new Date(retireAt).toISOString(),
        },
      );
    } else {
      logger.info("took old roots away", { roots: step.ids, left: roots.length - step.ids.length });
    }
    await this.#reload();
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]();
  }

  async #after(step: RotationStep, retireAt: number): Promise<readonly StoredRoot[]> {
    const { roots } = this.#state;
    const nowMs = this.#options.clock.now();
    switch (step.kind) {
      case "prepare": {
        if (roots.length >= MAX_ROOTS) {
          throw new MeshError(
            "exhausted",
            "CA_ROOTS",
            `${roots.length} roots are trusted already; wait until certificates of the older ones have ended`,
          );
        }
        const fresh = await newRoot(this.#options, "next");
        const active = roots.find(({ phase }) => phase === "active");
        if (active === undefined) return [...roots, fresh];
        const crossSignedPem = await crossSign(active, fresh, this.#options.randomBytes);
        return [...roots, { ...fresh, crossSignedPem }];
      }
      case "promote":
        return roots.map((root) =>
          root.phase === "next"
            ? { ...root, phase: "active", since: nowMs }
            : root.phase === "active"
              ? { ...root, phase: "retiring", since: nowMs, retireAt }
              : root,
        );
      case "remove":
        return roots.filter(({ id }) => !step.ids.includes(id));
    }
  }

  async #reload(): Promise<void> {
    try {
      const state = await this.#store.load();
      if (state.revision <= this.#state.revision) return;
      const issuer = await issuerOf(state.roots);
      // Two of these may be under way at once; the newer one counts.
      if (state.revision <= this.#state.revision) return;
      this.#state = state;
      this.#issuer = issuer;
      this.#changed.emit();
    } catch (thrown) {
      this.#options.logger.error("could not read the roots; going on with those that are known", {
        error: thrown,
      });
    }
  }

  /** The one that signs first: many clients know one root only. */
  #inOrder(): readonly StoredRoot[] {
    const order = { active: 0, issuer: 0, next: 1, retiring: 2 };
    return this.roots.toSorted((a, b) => order[a.phase] - order[b.phase] || b.since - a.since);
  }
}

async function newRoot(options: SelfSignedOptions, phase: "active" | "next"): Promise<StoredRoot> {
  const { clock, trustDomain, rootTtlMs: ttlMs, randomBytes } = options;
  const nowMs = clock.now();
  const made = await makeRoot({ trustDomain, nowMs, ttlMs, randomBytes });
  const { serialNumber: id, notBefore, notAfter } = new x509.X509Certificate(made.certificatePem);
  return {
    ...made,
    id: id.toUpperCase(),
    phase,
    since: nowMs,
    notBefore: notBefore.getTime(),
    notAfter: notAfter.getTime(),
  };
}

/** The root that signs, with its key. Errors: `invalid` CA_ROOT. */
async function issuerOf(roots: readonly StoredRoot[]): Promise<Issuer> {
  const active = roots.find(({ phase }) => phase === "active");
  try {
    if (active === undefined) throw new Error("none of the roots signs");
    return {
      certificate: new x509.X509Certificate(active.certificatePem),
      signingKey: await importSigningKey(active.privateKeyPem),
      signingAlgorithm: SIGNING_ALGORITHM,
      chainPem: crossSignedPath(roots),
      notAfterMs: active.notAfter,
    };
  } catch (thrown) {
    throw unreadable(thrown);
  }
}

/** From the root that signs back to the oldest one that somebody may know alone. */
function crossSignedPath(roots: readonly StoredRoot[]): readonly string[] {
  const former = roots.filter(({ phase }) => phase === "active" || phase === "retiring");
  // They stand in the order in which they were made. The oldest one's issuer is gone, and so is who knew only that.
  return former
    .slice(1)
    .reverse()
    .flatMap(({ crossSignedPem }) => crossSignedPem ?? []);
}

function otherDomain(stored: string, trustDomain: string): MeshError {
  return new MeshError(
    "invalid",
    "CA_TRUST_DOMAIN",
    `the data directory belongs to trust domain ${stored}, not ${trustDomain}; use that one, a new directory, or --trust-domain-aliases ${stored} to move`,
  );
}
