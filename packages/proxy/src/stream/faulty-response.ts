import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";
import type { AdmissionProgress } from "@tulle/engine";
import type { HeaderList } from "@tulle/http";

/** How often a slow response gets its next piece. */
const PIECE_MS = 50;

/** Who the response belongs to. */
export interface FaultyResponseOwner {
  /** Writes to the client. Returns false when it must wait for `onDrain`. */
  writeFaulty(chunk: Buffer, start: number, end: number): boolean;
  /** Everything was written. */
  onFaultyEnd(trailers: HeaderList): void;
  /** The client's connection is to be reset. */
  onFaultyReset(): void;
  /** The server may go on. */
  resumeFaulty(): void;
}

/**
 * A response's body on which a fault was injected: slower than it comes, or broken off. At most what one read of the server
 * gives is held: it waits meanwhile. Made for the first response of its exchange that needs it, and reused.
 */
export class FaultyResponse {
  /** Whether the response goes through here. */
  active = false;
  readonly #clock: Clock;
  readonly #owner: FaultyResponseOwner;
  readonly #timer: WheelTimer;
  readonly #held: Buffer[] = [];
  /** 0 = as it comes. */
  #bytesPerSecond = 0;
  #untilReset = -1;
  #allowance = 0;
  #lastMs = 0;
  #resetting = false;
  #blocked = false;
  #trailers: HeaderList | undefined;

  constructor(clock: Clock, fineWheel: TimerWheel, owner: FaultyResponseOwner) {
    this.#clock = clock;
    this.#owner = owner;
    this.#timer = fineWheel.timer(() => this.#onTimer());
  }

  start({ responseBytesPerSecond, resetAfterBytes }: AdmissionProgress): void {
    this.active = true;
    this.#bytesPerSecond = responseBytesPerSecond;
    this.#untilReset = resetAfterBytes;
    this.#allowance = this.#perPiece;
    this.#lastMs = this.#clock.monotonic();
    this.#resetting = false;
    this.#blocked = false;
    this.#trailers = undefined;
    if (resetAfterBytes === 0) this.#reset();
  }

  /** Borrowed bytes. Returns false when the server must wait. */
  write(chunk: Buffer, start: number, end: number): boolean {
    if (this.#resetting) return false;
    if (this.#untilReset >= 0 && end - start >= this.#untilReset) {
      this.#hold(chunk, start, start + this.#untilReset);
      this.#untilReset = 0;
    } else {
      if (this.#untilReset > 0) this.#untilReset -= end - start;
      this.#hold(chunk, start, end);
    }
    this.#flush();
    return this.#held.length === 0 && !this.#resetting && !this.#blocked;
  }

  end(trailers: HeaderList): void {
    this.#trailers = trailers;
    this.#flush();
  }

  onDrain(): void {
    this.#blocked = false;
    this.#flush();
    if (this.active && this.#held.length === 0 && this.#trailers === undefined) this.#owner.resumeFaulty();
  }

  stop(): void {
    if (!this.active) return;
    this.active = false;
    this.#timer.disarm();
    this.#held.length = 0;
    this.#trailers = undefined;
  }

  get #perPiece(): number {
    return Math.max(1, (this.#bytesPerSecond * PIECE_MS) / 1000);
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    if (end > start) this.#held.push(Buffer.from(chunk.subarray(start, end)));
  }

  /** Writes what may go now, and sees to the rest later. */
  #flush(): void {
    while (this.#held.length > 0 && !this.#blocked) {
      const [first] = this.#held as [Buffer];
      const length = Math.min(first.length, this.#mayWrite());
      if (length === 0) break;
      if (length === first.length) this.#held.shift();
      else this.#held[0] = first.subarray(length);
      this.#allowance -= length;
      this.#blocked = !this.#owner.writeFaulty(first, 0, length);
    }
    if (this.#held.length > 0) {
      if (!this.#blocked) this.#timer.arm(PIECE_MS);
    } else if (this.#untilReset === 0) {
      this.#reset();
    } else if (this.#trailers !== undefined) {
      const trailers = this.#trailers;
      this.stop();
      this.#owner.onFaultyEnd(trailers);
    }
  }

  #mayWrite(): number {
    return this.#bytesPerSecond === 0 ? Number.POSITIVE_INFINITY : Math.floor(this.#allowance);
  }

  /** A moment later: what was written last must get out first. */
  #reset(): void {
    if (this.#resetting) return;
    this.#resetting = true;
    this.#timer.arm(PIECE_MS);
  }

  #onTimer(): void {
    if (!this.active) return;
    if (this.#resetting) {
      this.stop();
      this.#owner.onFaultyReset();
      return;
    }
    const nowMs = this.#clock.monotonic();
    const earned = ((nowMs - this.#lastMs) * this.#bytesPerSecond) / 1000;
    this.#lastMs = nowMs;
    // A client that rested gets no burst for it.
    this.#allowance = Math.min(this.#allowance + earned, Math.max(1, this.#perPiece) * 4);
    this.#flush();
    if (
      this.active &&
      this.#held.length === 0 &&
      !this.#blocked &&
      this.#trailers === undefined &&
      !this.#resetting
    )
      this.#owner.resumeFaulty();
  }
}
