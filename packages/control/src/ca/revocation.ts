import type { IssuedCertificate, RevocationStatus } from "@tulle/api";
import {
  DisposableStack,
  Emitter,
  MeshError,
  MutableDisposable,
  parseSpiffeId,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";
import { parseCertificate, readCertificate, RevocationLists } from "@tulle/base/spiffe";

import type { Coordination } from "../stores/coordination.js";
import type { CertificateAuthority } from "./certificate-authority.js";
import { SelfSignedSigner } from "./self-signed-signer.js";
import { signRevocationList, type Revoked } from "./sign-revocation-list.js";

const PREFIX = "ca/revoked/";
/** Lists are good for so long, and made anew so often, milliseconds: a control plane may be away for days. */
const LIST_LIFE_MS = 7 * 86_400_000;
const SIGN_EVERY_MS = 12 * 3_600_000;
/** Certificates that are taken back at once, at most. */
const MAX_REVOKED = 10_000;

/** A record of a certificate that was taken back, as it is stored under its serial number until it ends. */
interface StoredRevocation extends Revoked {
  readonly spiffeId: string;
  readonly notAfter: number;
}

export interface RevocationOptions {
  readonly authority: Pick<CertificateAuthority, "signer" | "find">;
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What the authority has taken back. Of the mesh's own roots each signs a list of it, which is made anew in time; as long as
 * nothing is revoked there is none. Authorities that are not the mesh's own make their lists themselves.
 */
export class Revocation implements Disposable {
  readonly #options: RevocationOptions;
  readonly #owned = new DisposableStack();
  readonly #timer = new MutableDisposable<Timer>();
  readonly #changed = new Emitter<void>();
  #records: readonly StoredRevocation[] = [];
  #ownPem = "";
  #lists: RevocationLists | undefined;
  #working: Promise<void> = Promise.resolve();
  #disposed = false;

  private constructor(options: RevocationOptions) {
    this.#options = options;
    const { coordination, authority } = options;
    this.#owned.use(this.#timer);
    this.#owned.use(coordination.watch(PREFIX, () => void this.#followSafely()));
    this.#owned.use(authority.signer.onChanged(() => void this.#followSafely()));
  }

  /** Loads what was taken back. */
  static async open(options: RevocationOptions): Promise<Revocation> {
    const revocation = new Revocation(options);
    await revocation.#follow();
    return revocation;
  }

  /** Fires when the lists are others. */
  readonly onChanged = this.#changed.event;

  /** Every list, PEM; "" = none. */
  get listsPem(): string {
    return this.#ownPem + (this.#options.authority.signer.revocationListsPem ?? "");
  }

  /**
   * Takes back a certificate by its serial number, or all that a SPIFFE id has, and returns them once workloads are told.
   * Errors: `invalid` CA_REVOKE, CA_REVOKE_SIGNER where the roots are not the mesh's own; `not-found` CA_REVOKE;
   * `exhausted` CA_REVOKED.
   */
  async revoke(what: string): Promise<readonly IssuedCertificate[]> {
    const { authority, coordination, clock } = this.#options;
    if (!(authority.signer instanceof SelfSignedSigner)) throw notOurs(authority.signer.kind);
    const revokedAt = clock.now();
    const found = authority.find(revokedAt, readTarget(what));
    if (found.length === 0) {
      const message = `no valid certificate of this mesh is ${JSON.stringify(what)}; tulle status lists serial numbers and ids`;
      throw new MeshError("not-found", "CA_REVOKE", message);
    }
    if (this.#records.length + found.length > MAX_REVOKED) {
      const message = `${this.#records.length} certificates are revoked already; replace the root instead: tulle ca rotate`;
      throw new MeshError("exhausted", "CA_REVOKED", message);
    }
    for (const { spiffeId, serialNumber, notAfter } of found) {
      const stored: StoredRevocation = { serialNumber, spiffeId, notAfter, revokedAt };
      const key = PREFIX + serialNumber;
      // Who was there first is right: a certificate is not taken back twice.
      await coordination.txn(
        [{ key, absent: true }],
        [{ op: "put", key, value: Buffer.from(JSON.stringify(stored)) }],
      );
    }
    await this.#follow();
    return found;
  }

  status(): RevocationStatus {
    const pem = this.listsPem;
    if (pem === "") return { lists: [] };
    this.#lists ??= new RevocationLists(pem);
    const { signer } = this.#options.authority;
    const signed = signer.certificates().flatMap(({ id, pem: certificatePem }) => {
      const certificate = parseCertificate(certificatePem);
      const facts = certificate && readCertificate(certificate.raw);
      if (certificate === undefined || facts === undefined) return [];
      return (this.#lists?.listsOf({ certificate, facts }) ?? []).map((list) => ({ id, list }));
    });
    return {
      lists: signed.map(({ id, list: { thisUpdate, nextUpdate, serialNumbers } }) => ({
        issuer: id,
        thisUpdate,
        ...(nextUpdate !== undefined && { nextUpdate }),
        revoked: serialNumbers.size,
      })),
    };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#owned[Symbol.dispose]();
  }

  async #followSafely(): Promise<void> {
    await this.#follow().catch((thrown: unknown) => {
      if (!this.#disposed)
        this.#options.logger.error("could not make the list of revoked certificates anew", { error: thrown });
    });
  }

  /** One after another: an older list must not replace a newer one. */
  #follow(): Promise<void> {
    const next = this.#working.then(() => this.#refresh());
    this.#working = next.catch(() => undefined);
    return next;
  }

  async #refresh(): Promise<void> {
    if (this.#disposed) return;
    const { authority, clock } = this.#options;
    const nowMs = clock.now();
    this.#records = await this.#load(nowMs);
    const { signer } = authority;
    const roots = signer instanceof SelfSignedSigner && this.#records.length > 0 ? signer.roots : [];
    const validity = { nowMs, nextUpdateMs: nowMs + LIST_LIFE_MS };
    const lists = await Promise.all(roots.map((root) => signRevocationList(root, this.#records, validity)));
    this.#ownPem = lists.join("");
    this.#lists = undefined;
    const again = (): void => void this.#followSafely();
    this.#timer.value = clock.setTimeout(again, SIGN_EVERY_MS, { keepAlive: false });
    this.#changed.emit();
  }

  /** What is not over by itself; the rest is forgotten. */
  async #load(nowMs: number): Promise<readonly StoredRevocation[]> {
    const { coordination, logger } = this.#options;
    const records: StoredRevocation[] = [];
    for (const { key, value } of await coordination.range(PREFIX)) {
      const stored = parse(value);
      if (stored === undefined) logger.error("a record of a revocation cannot be read", { key });
      else if (nowMs < stored.notAfter) records.push(stored);
      else await coordination.txn([], [{ op: "delete", key }]);
    }
    return records;
  }
}

function readTarget(what: string): { readonly serialNumber: string } | { readonly spiffeId: string } {
  if (parseSpiffeId(what) !== undefined) return { spiffeId: what };
  const serialNumber = what.replaceAll(":", "").toUpperCase();
  if (/^[0-9A-F]{2,40}$/.test(serialNumber)) return { serialNumber };
  throw new MeshError(
    "invalid",
    "CA_REVOKE",
    `${JSON.stringify(what.slice(0, 100))} is neither a serial number in hexadecimal nor a SPIFFE id`,
  );
}

function notOurs(kind: string): MeshError {
  return new MeshError(
    "invalid",
    "CA_REVOKE_SIGNER",
    kind === "directory"
      ? "the roots are not the mesh's own: revoke it at your authority and put its list beside the others as ca-crl.pem"
      : `the roots are not the mesh's own (signer: ${kind}), and its lists are not read: replace the root there`,
  );
}

function parse(value: Uint8Array): StoredRevocation | undefined {
  try {
    const stored = JSON.parse(Buffer.from(value).toString()) as StoredRevocation;
    return typeof stored.serialNumber === "string" && typeof stored.notAfter === "number"
      ? stored
      : undefined;
  } catch {
    return undefined;
  }
}
