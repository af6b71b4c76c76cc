import {
  Backoff,
  Emitter,
  MeshError,
  MutableDisposable,
  type Clock,
  type Event,
  type Logger,
  type Timer,
  formatSpiffeId,
  type SpiffeIdParts,
} from "@tulle/base";
import { joinPem, splitPem } from "@tulle/base/spiffe";

import { requestSvid, type Proof } from "./certificate-client.js";
import type { Svid, TrustUpdate, WorkloadIdentity } from "./contract.js";
import type { ControlPlaneAddress } from "./control-plane.js";
import { IdentityFile, type KeptSvid } from "./identity-file.js";
import { isTrustedBy } from "./svid.js";

export interface WorkloadIdentityOptions {
  /** Who the workload is. */
  readonly id: SpiffeIdParts;
  /** Where key and chain are kept, in `identity.json` (0600). One directory per workload instance. */
  readonly stateDirectory: string;
  readonly controlPlane: {
    /** `host:port` of its TLS port. */
    readonly address: string;
    /** Undefined when it is not known because the control plane is away: the roots on disk count, then. */
    readonly rootCertificatePem?: string | undefined;
  };
  /** Proves the workload once, when there is no valid identity on disk. */
  readonly joinToken?: string | undefined;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** A workload's identity that may not be there yet. */
export interface JoiningIdentity extends WorkloadIdentity {
  /**
   * Resolves with the first SVID. Rejects when there will be none: `unauthenticated`, `denied` or `invalid`
   * AGENT_CONTROL_PLANE when the control plane refuses the join token, `canceled` AGENT_DISPOSED. Never while the
   * control plane cannot be reached; that is tried again and again.
   */
  ready(): Promise<Svid>;
  /** Takes over whom to trust from now on. Throws `invalid` AGENT_TRUST for roots that do not fit the identity. */
  trust(update: TrustUpdate): void;
}

/** Renewal is due at this share of a certificate's life, ± 10 %. */
const RENEW_AT = 0.5;
const RENEW_JITTER = 0.1;
const REQUEST_TIMEOUT_MS = 10_000;
const MIN_REQUEST_TIMEOUT_MS = 1000;
/** The shortest wait between two tries. */
const MIN_RETRY_MS = 250;
/** Waits are cut into pieces of at most this, so that a suspended machine or a set clock is noticed. */
const MAX_WAIT_MS = 600_000;

/**
 * Opens a workload's identity: from disk while it is valid, else by joining with the token, in the background. It is
 * renewed at half of its life until disposed. Errors: `unauthenticated` AGENT_NO_JOIN_TOKEN when there is nothing on
 * disk and no token, AGENT_IDENTITY_EXPIRED when what is on disk is over and there is no token; `invalid`
 * AGENT_IDENTITY_FILE, AGENT_NO_ROOT.
 */
export async function createWorkloadIdentity(options: WorkloadIdentityOptions): Promise<JoiningIdentity> {
  const file = new IdentityFile(options.stateDirectory);
  const kept = await usableIdentity(file, options);
  const identity = new RenewingIdentity(options, file, kept);
  identity.start();
  return identity;
}

/** What is on disk if it can be used; undefined when the workload has to join, and can. */
async function usableIdentity(
  file: IdentityFile,
  options: WorkloadIdentityOptions,
): Promise<KeptSvid | undefined> {
  const { joinToken, clock, logger, controlPlane } = options;
  const root = controlPlane.rootCertificatePem;
  let kept: KeptSvid | undefined;
  try {
    kept = await file.load();
  } catch (thrown) {
    if (joinToken === undefined) throw thrown;
    logger.warn("the identity on disk cannot be read; joining again", { path: file.path, error: thrown });
  }
  const wanted = formatSpiffeId(options.id);
  const why =
    kept === undefined
      ? `there is no identity in ${file.path}`
      : kept.svid.spiffeId !== wanted
        ? `the identity in ${file.path} is ${kept.svid.spiffeId}, not ${wanted}`
        : kept.svid.notAfter <= clock.now()
          ? `the identity in ${file.path} expired at ${new Date(kept.svid.notAfter).toISOString()}`
          : undefined;
  if (why === undefined && kept !== undefined) {
    if (root === undefined || isTrustedBy(kept.svid, root)) return kept;
    logger.warn("the identity on disk is not of the control plane's present root", {
      rejoining: joinToken !== undefined,
    });
    if (joinToken === undefined) return kept;
  }
  if (joinToken === undefined) {
    const code = kept === undefined ? "AGENT_NO_JOIN_TOKEN" : "AGENT_IDENTITY_EXPIRED";
    throw new MeshError(
      "unauthenticated",
      code,
      `${why ?? "no identity"}; join with a token (POST /tulle/v1/join-tokens)`,
    );
  }
  if (root === undefined) {
    throw new MeshError(
      "invalid",
      "AGENT_NO_ROOT",
      "joining needs the control plane's root certificate (GET /tulle/v1/info)",
    );
  }
  return undefined;
}

class RenewingIdentity implements JoiningIdentity {
  readonly #options: WorkloadIdentityOptions;
  readonly #file: IdentityFile;
  readonly #rotated: Emitter<Svid>;
  readonly #timer = new MutableDisposable<Timer>();
  readonly #backoff: Backoff;
  readonly #ready: Promise<Svid>;
  #settleReady: { resolve: (svid: Svid) => void; reject: (error: MeshError) => void } | undefined;
  #kept: KeptSvid | undefined;
  /** What the control plane told last. */
  #trust: TrustUpdate | undefined;
  #written: Promise<void> = Promise.resolve();
  #joinToken: string | undefined;
  #failure: MeshError | undefined;
  /** Wall clock of the next try, milliseconds since the epoch. */
  #dueAt = 0;
  #disposed = false;

  constructor(options: WorkloadIdentityOptions, file: IdentityFile, kept: KeptSvid | undefined) {
    this.#options = options;
    this.#file = file;
    this.#kept = kept;
    this.#joinToken = options.joinToken;
    this.#backoff = new Backoff({ baseMs: 1000, maxMs: 60_000 }, options.random);
    this.#rotated = new Emitter<Svid>((thrown) => {
      options.logger.error("a listener for new certificates failed", { error: thrown });
    });
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    // Whoever asks gets the rejection; nobody asking is no crash.
    this.#ready.catch(() => undefined);
  }

  readonly onRotated: Event<Svid> = (listener) => this.#rotated.event(listener);

  start(): void {
    if (this.#kept === undefined) void this.#renew();
    else {
      this.#settleReady?.resolve(this.#kept.svid);
      this.#scheduleRenewal(this.#kept);
    }
  }

  current(): Svid {
    if (this.#kept !== undefined) return this.#kept.svid;
    throw (
      this.#failure ??
      new MeshError(
        "unavailable",
        "AGENT_NO_IDENTITY",
        "the workload has no certificate yet; wait for ready()",
      )
    );
  }

  ready(): Promise<Svid> {
    return this.#ready;
  }

  trust(update: TrustUpdate): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    const { svid } = kept;
    if (splitPem(update.trustBundlePem).length === 0) {
      throw new MeshError(
        "invalid",
        "AGENT_TRUST",
        "there is no root among the roots of the own trust domain",
      );
    }
    this.#trust = update;
    if (sameTrust(svid, update)) return;
    const trusting: KeptSvid = { ...kept, svid: { ...svid, ...update } };
    this.#kept = trusting;
    void this.#keep(trusting);
    this.#rotated.emit(trusting.svid);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#timer[Symbol.dispose]();
    this.#settleReady?.reject(new MeshError("canceled", "AGENT_DISPOSED", "the identity was closed"));
  }

  async #renew(): Promise<void> {
    const { clock, logger, id } = this.#options;
    const proof = this.#proof();
    const trusted = this.#trust;
    try {
      const svid = await requestSvid({
        controlPlane: this.#controlPlane(),
        id,
        proof,
        timeoutMs: this.#requestTimeoutMs(),
        clock,
      });
      const now = clock.now();
      checkAnswer(svid, formatSpiffeId(id), now);
      if (this.#disposed) return;
      if ("joinToken" in proof) this.#joinToken = undefined;
      await this.#adopt({ svid, issuedAt: now }, trusted);
    } catch (thrown) {
      if (!this.#disposed) this.#retryLater(MeshError.from(thrown), proof);
      return;
    }
    logger.info("got a certificate", {
      spiffeId: this.#kept?.svid.spiffeId,
      notAfter: this.#kept?.svid.notAfter,
    });
  }

  async #adopt(fresh: KeptSvid, trusted: TrustUpdate | undefined): Promise<void> {
    // Roots that were told of on the way are newer than those that came with the certificate.
    const { trustBundlePem } = this.#trust === trusted ? fresh.svid : (this.#trust ?? fresh.svid);
    // What was taken back is not told with a certificate.
    const { revocationListsPem } = this.#kept?.svid ?? {};
    const known = revocationListsPem === undefined ? {} : { revocationListsPem };
    const kept: KeptSvid = { ...fresh, svid: { ...fresh.svid, ...known, ...this.#trust, trustBundlePem } };
    await this.#keep(kept);
    if (this.#disposed) return;
    this.#kept = kept;
    this.#backoff.reset();
    this.#scheduleRenewal(kept);
    this.#settleReady?.resolve(kept.svid);
    this.#rotated.emit(kept.svid);
  }

  /** Writes to the disk, one after another: an older identity must not overtake a newer one. */
  #keep(kept: KeptSvid): Promise<void> {
    this.#written = this.#written.then(() =>
      this.#file.save(kept).catch((thrown: unknown) => {
        this.#options.logger.error("could not write the identity; a restart will need the control plane", {
          path: this.#file.path,
          error: thrown,
        });
      }),
    );
    return this.#written;
  }

  #retryLater(error: MeshError, proof: Proof): void {
    const { logger, clock } = this.#options;
    const { kind } = error;
    if (this.#kept === undefined && (kind === "unauthenticated" || kind === "denied" || kind === "invalid")) {
      this.#failure = error;
      logger.error("the control plane refused to let the workload join", { error });
      this.#settleReady?.reject(error);
      return;
    }
    const leftMs = (this.#kept?.svid.notAfter ?? 0) - clock.now();
    const wishMs = this.#backoff.next();
    const delayMs = leftMs > 0 ? Math.min(wishMs, Math.max(leftMs / 4, MIN_RETRY_MS)) : wishMs;
    logger.warn(
      leftMs > 0 || "joinToken" in proof
        ? "could not get a certificate; trying again"
        : "the certificate has expired and cannot be renewed; restart with a new join token if this stays",
      { error, retryInMs: Math.round(delayMs) },
    );
    this.#arm(clock.now() + delayMs);
  }

  #scheduleRenewal({ svid, issuedAt }: KeptSvid): void {
    const share = RENEW_AT * (1 + RENEW_JITTER * (2 * this.#options.random() - 1));
    this.#arm(issuedAt + (svid.notAfter - issuedAt) * share);
  }

  #arm(dueAt: number): void {
    if (this.#disposed) return;
    this.#dueAt = dueAt;
    const { clock } = this.#options;
    const waitMs = Math.min(Math.max(dueAt - clock.now(), 0), MAX_WAIT_MS);
    const wake = (): void => {
      if (clock.now() >= this.#dueAt) void this.#renew();
      else this.#arm(this.#dueAt);
    };
    this.#timer.value = clock.setTimeout(wake, waitMs, { keepAlive: false });
  }

  #proof(): Proof {
    const svid = this.#kept?.svid;
    if (svid !== undefined && (svid.notAfter > this.#options.clock.now() || this.#joinToken === undefined))
      return { svid };
    return { joinToken: this.#joinToken ?? "" };
  }

  #controlPlane(): ControlPlaneAddress {
    const { controlPlane, id } = this.#options;
    // Once the control plane has told whom to trust, where the workload began counts no more.
    const first = this.#trust === undefined ? (controlPlane.rootCertificatePem ?? "") : "";
    const roots = [first, this.#kept?.svid.trustBundlePem ?? ""];
    return { address: controlPlane.address, rootCertificatePem: joinPem(roots), trustDomain: id.trustDomain };
  }

  /** Leaves time for other tries while the certificate lives. */
  #requestTimeoutMs(): number {
    const leftMs = (this.#kept?.svid.notAfter ?? 0) - this.#options.clock.now();
    if (leftMs <= 0) return REQUEST_TIMEOUT_MS;
    return Math.min(REQUEST_TIMEOUT_MS, Math.max(MIN_REQUEST_TIMEOUT_MS, leftMs / 3));
  }
}

function sameTrust(
  svid: Svid,
  { trustBundlePem, federatedBundles, revocationListsPem, jwtBundles, graceMs }: TrustUpdate,
): boolean {
  return (
    svid.trustBundlePem === trustBundlePem &&
    (svid.revocationListsPem ?? "") === revocationListsPem &&
    (svid.graceMs ?? 0) === graceMs &&
    JSON.stringify(svid.federatedBundles ?? {}) === JSON.stringify(federatedBundles) &&
    JSON.stringify(svid.jwtBundles ?? {}) === JSON.stringify(jwtBundles)
  );
}

function checkAnswer(svid: Svid, wanted: string, nowMs: number): void {
  if (svid.spiffeId !== wanted) {
    throw new MeshError(
      "denied",
      "AGENT_OTHER_IDENTITY",
      `the control plane answered with a certificate of ${svid.spiffeId}, not ${wanted}; is the token for this account?`,
    );
  }
  if (svid.notAfter <= nowMs) {
    throw new MeshError(
      "unavailable",
      "AGENT_CLOCK",
      "the new certificate has expired already; set this machine's clock and the control plane's",
    );
  }
}
