import type { IssuedCertificate } from "@tulle/api";
import type { Clock, Logger } from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";

const PREFIX = "ca/issued/";
/** Records kept, at most: the oldest make room. */
const MAX_RECORDS = 100_000;
/** Records of certificates that are over are deleted not more often than this, milliseconds, and so many at once. */
const PRUNE_EVERY_MS = 60_000;
const PRUNE_BATCH = 500;

/** A record of a certificate, as it is stored under its serial number. */
interface Stored extends IssuedCertificate {
  /** Serial number of the one that it renews. */
  readonly replaces?: string;
  /** When it was issued, milliseconds since the epoch. */
  readonly issuedAt: number;
}

export interface IssuedLedgerOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Every certificate that was issued, in the store, until it ends. It is recorded before anybody gets it, under its
 * serial number, so that no number is given twice and none is unknown, whenever the process dies.
 */
export class IssuedLedger {
  readonly #options: IssuedLedgerOptions;
  readonly #bySerial = new Map<string, Stored>();
  readonly #replaced = new Set<string>();
  #pruneAt = 0;

  private constructor(options: IssuedLedgerOptions) {
    this.#options = options;
  }

  /** Loads what is recorded. */
  static async open(options: IssuedLedgerOptions): Promise<IssuedLedger> {
    const ledger = new IssuedLedger(options);
    const records = (await options.coordination.range(PREFIX)).flatMap(({ key, value }) => {
      const stored = parse(value);
      if (stored === undefined) options.logger.warn("a record of a certificate cannot be read", { key });
      return stored ?? [];
    });
    for (const stored of records.toSorted((a, b) => a.issuedAt - b.issuedAt)) ledger.#remember(stored);
    await ledger.#pruneSometimes();
    return ledger;
  }

  /** Records a certificate. False: its serial number was given before, so it must not be used. */
  async record(issued: IssuedCertificate, replaces: string | undefined): Promise<boolean> {
    const { coordination, clock } = this.#options;
    const stored: Stored = { ...issued, ...(replaces !== undefined && { replaces }), issuedAt: clock.now() };
    const key = PREFIX + issued.serialNumber;
    const { succeeded } = await coordination.txn(
      [{ key, absent: true }],
      [{ op: "put", key, value: Buffer.from(JSON.stringify(stored)) }],
    );
    if (succeeded) this.#remember(stored);
    void this.#pruneSometimes();
    return succeeded;
  }

  /** What is valid at `nowMs` and not renewed yet, in order of issue: the newest certificate of each instance. */
  current(nowMs: number): readonly IssuedCertificate[] {
    return [...this.#bySerial.values()]
      .filter(({ serialNumber, notAfter }) => nowMs < notAfter && !this.#replaced.has(serialNumber))
      .map(({ spiffeId, serialNumber, notBefore, notAfter }) => ({
        spiffeId,
        serialNumber,
        notBefore,
        notAfter,
      }));
  }

  /** What is valid at `nowMs`, renewed or not: of a serial number, or of everybody who has a SPIFFE id. */
  find(
    nowMs: number,
    who: { readonly serialNumber: string } | { readonly spiffeId: string },
  ): readonly IssuedCertificate[] {
    const all = "serialNumber" in who ? [this.#bySerial.get(who.serialNumber)] : [...this.#bySerial.values()];
    return all.flatMap((stored) => {
      if (stored === undefined || nowMs >= stored.notAfter) return [];
      if ("spiffeId" in who && stored.spiffeId !== who.spiffeId) return [];
      const { spiffeId, serialNumber, notBefore, notAfter } = stored;
      return [{ spiffeId, serialNumber, notBefore, notAfter }];
    });
  }

  /** When the last of all certificates ends, milliseconds since the epoch; 0 when there is none. */
  get lastNotAfter(): number {
    let last = 0;
    for (const { notAfter } of this.#bySerial.values()) last = Math.max(last, notAfter);
    return last;
  }

  /** Deletes records of certificates that are over. */
  async prune(): Promise<void> {
    const { coordination, clock } = this.#options;
    const nowMs = clock.now();
    let surplus = this.#bySerial.size - MAX_RECORDS;
    const over = [...this.#bySerial.values()].filter(({ notAfter }) => nowMs >= notAfter || surplus-- > 0);
    for (let start = 0; start < over.length; start += PRUNE_BATCH) {
      const batch = over.slice(start, start + PRUNE_BATCH);
      await coordination.txn(
        [],
        batch.map(({ serialNumber }) => ({ op: "delete", key: PREFIX + serialNumber }) as const),
      );
      for (const { serialNumber, replaces } of batch) {
        this.#bySerial.delete(serialNumber);
        this.#replaced.delete(serialNumber);
        if (replaces !== undefined) this.#replaced.delete(replaces);
      }
    }
  }

  #remember(stored: Stored): void {
    this.#bySerial.set(stored.serialNumber, stored);
    if (stored.replaces !== undefined) this.#replaced.add(stored.replaces);
  }

  /** Not by a timer: where nothing is issued, nothing is in the way. */
  async #pruneSometimes(): Promise<void> {
    const { clock, logger } = this.#options;
    if (clock.now() < this.#pruneAt) return;
    this.#pruneAt = clock.now() + PRUNE_EVERY_MS;
    await this.prune().catch((thrown: unknown) =>
      logger.warn("could not delete records of old certificates", { error: thrown }),
    );
  }
}

function parse(value: Uint8Array): Stored | undefined {
  try {
    const stored = JSON.parse(Buffer.from(value).toString()) as Stored;
    return typeof stored.serialNumber === "string" && typeof stored.notAfter === "number"
      ? stored
      : undefined;
  } catch {
    return undefined;
  }
}
