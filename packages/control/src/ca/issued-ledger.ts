import type { IssuedCertificate } from "@tulle/api";

/**
 * Remembers what was issued, for people to look at: the newest certificate of every workload instance. Bounded: the
 * oldest entry makes room. Not persisted; certificates stay valid without it.
 */
export class IssuedLedger {
  readonly #bySerial = new Map<string, IssuedCertificate>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `replaces`: serial number of the certificate that this one renews. */
  record(issued: IssuedCertificate, replaces: string | undefined): void {
    if (replaces !== undefined) this.#bySerial.delete(replaces);
    this.#bySerial.set(issued.serialNumber, issued);
    while (this.#bySerial.size > this.#limit) {
      const oldest = this.#bySerial.keys().next();
      if (oldest.done === true) break;
      this.#bySerial.delete(oldest.value);
    }
  }

  /** What is valid at `nowMs`, in order of issue. Forgets what is not. */
  list(nowMs: number): readonly IssuedCertificate[] {
    for (const issued of this.#bySerial.values()) {
      if (nowMs >= issued.notAfter) this.#bySerial.delete(issued.serialNumber);
    }
    return [...this.#bySerial.values()];
  }
}
