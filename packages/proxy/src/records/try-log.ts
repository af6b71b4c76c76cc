/** What became of one try. `abandoned`: nobody waited for it any more (a deadline, a client that went away). */
export type TryOutcome =
  | "answered"
  | "switched"
  | "connect-failure"
  | "connect-timeout"
  | "overflow"
  | "closed"
  | "reset"
  | "refused"
  | "protocol-error"
  | "no-upgrade"
  | "per-try-timeout"
  | "per-try-idle-timeout"
  | "abandoned";

/** One try. Reused: read it before the next request on the same exchange. */
export interface LoggedTry {
  /** `host:port` */
  readonly endpoint: string;
  /** Monotonic. */
  readonly startMs: number;
  /** Until the response's head, or the end of a try without one. */
  readonly durationMs: number;
  /** "" while it is under way. */
  readonly outcome: TryOutcome | "";
  /** Of the response's head; 0 without one. */
  readonly status: number;
  /** System error code, TLS reason or codec message; "" when there is none. */
  readonly detail: string;
}

/** Tries that are kept: the first ones, and the newest in the last place. */
const MAX_KEPT = 8;

type Kept = { -readonly [Key in keyof LoggedTry]: LoggedTry[Key] };

/** The tries of one exchange, in their order. Reused with it: logging allocates only what earlier requests did not. */
export class TryLog {
  /** Tries begun, those that are not kept included. */
  count = 0;
  readonly #kept: Kept[] = [];

  /** Prepares for a new request. */
  clear(): void {
    this.count = 0;
  }

  /** Notes that a try begins; gives its number for `end`. */
  begin(endpoint: string, startMs: number): number {
    const number = this.count++;
    const place = placeOf(number);
    const kept = this.#kept[place];
    if (kept === undefined) {
      this.#kept.push({ endpoint, startMs, durationMs: 0, outcome: "", status: 0, detail: "" });
      return number;
    }
    kept.endpoint = endpoint;
    kept.startMs = startMs;
    kept.durationMs = 0;
    kept.outcome = "";
    kept.status = 0;
    kept.detail = "";
    return number;
  }

  /** Notes what a try came to; a later word replaces an earlier one, but for the status, unless it has one itself. */
  note(number: number, outcome: TryOutcome, status: number, detail: string, nowMs: number): void {
    const kept = this.#kept[placeOf(number)];
    // Another try has taken its place: with very many of them only the newest counts.
    if (kept === undefined || (number >= MAX_KEPT - 1 && number !== this.count - 1)) return;
    kept.outcome = outcome;
    if (status !== 0) kept.status = status;
    kept.detail = detail;
    kept.durationMs = nowMs - kept.startMs;
  }

  /** Whether the outcome of a try is known. */
  isNoted(number: number): boolean {
    return this.#kept[placeOf(number)]?.outcome !== "";
  }

  /** What is kept, oldest first. */
  *kept(): Iterable<LoggedTry> {
    for (let i = 0; i < Math.min(this.count, MAX_KEPT); i++) yield this.#kept[i]!;
  }

  /** Status of the newest response of any try; 0 when none came. */
  get lastStatus(): number {
    for (let i = Math.min(this.count, MAX_KEPT) - 1; i >= 0; i--) {
      const { status } = this.#kept[i]!;
      if (status !== 0) return status;
    }
    return 0;
  }
}

function placeOf(number: number): number {
  return Math.min(number, MAX_KEPT - 1);
}
