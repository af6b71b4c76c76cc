import type { Http2Limits, Http2Refusal } from "./contract.js";
import { REFUSALS } from "./refusals.js";

const SECOND_MS = 1000;
const SUSPECT_RESETS = 100;

/**
 * The one ledger of what a peer may make us do for nothing. Every method books something and returns the refusal of the
 * connection when that was too much. Work that is paid for by requests and bodies raises what is allowed.
 *
 * | booked | allowed |
 * | --- | --- |
 * | empty frames in a row | `maxEmptyFrames` |
 * | PRIORITY and unknown frames | `maxPriorityFramesPerStream * (1 + streams)` |
 * | WINDOW_UPDATE | `5 + 2 * (streams + maxWindowUpdatesPerDataFrame * DATA frames sent)` |
 * | PING and SETTINGS in a second | `maxControlFramesPerSecond` + HEADERS and DATA frames in it, both ways |
 * | resets within a second of the stream's start, theirs and ours | below `maxResetsPerSecond` in a second, or half of the streams |
 */
export class Budget {
  readonly #limits: Http2Limits;
  /** Streams that the peer opened, or we did. */
  #streams = 0;
  #emptyInARow = 0;
  #priority = 0;
  #windowUpdates = 0;
  // The second under way, and the streams of the one before.
  #secondStartMs = 0;
  #controls = 0;
  #frames = 0;
  #resets = 0;
  #streamsNow = 0;
  #streamsBefore = 0;
  #sentAtStart = 0;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  stream(nowMs: number): void {
    this.#turn(nowMs);
    this.#streams++;
    this.#streamsNow++;
  }

  /** A HEADERS or DATA frame came. */
  paidFrame(): void {
    this.#frames++;
  }

  /** A frame of a body or head that carries nothing and ends nothing. */
  emptyFrame(): Http2Refusal | undefined {
    return ++this.#emptyInARow > this.#limits.maxEmptyFrames ? REFUSALS.emptyFrames : undefined;
  }

  fullFrame(): void {
    this.#emptyInARow = 0;
  }

  priority(): Http2Refusal | undefined {
    const allowed = this.#limits.maxPriorityFramesPerStream * (1 + this.#streams);
    return ++this.#priority > allowed ? REFUSALS.priorityFlood : undefined;
  }

  windowUpdate(dataFramesSent: number): Http2Refusal | undefined {
    const allowed = 5 + 2 * (this.#streams + this.#limits.maxWindowUpdatesPerDataFrame * dataFramesSent);
    return ++this.#windowUpdates > allowed ? REFUSALS.windowFlood : undefined;
  }

  /** PING or SETTINGS came. `framesSent`: HEADERS and DATA, ever. */
  control(nowMs: number, framesSent: number): Http2Refusal | undefined {
    this.#turn(nowMs);
    if (this.#controls === 0) this.#sentAtStart = framesSent;
    const paid = this.#frames + framesSent - this.#sentAtStart;
    return ++this.#controls > this.#limits.maxControlFramesPerSecond + paid
      ? REFUSALS.controlFlood
      : undefined;
  }

  /**
   * A stream was reset, by the peer or by us for an error of the peer. `openedMs`: when it was opened. Streams that
   * lived for a second are not counted: those are cancelled, not flooded.
   */
  reset(nowMs: number, openedMs: number): Http2Refusal | undefined {
    if (nowMs - openedMs >= SECOND_MS) return undefined;
    this.#turn(nowMs);
    const flood =
      ++this.#resets >= this.#limits.maxResetsPerSecond &&
      this.#resets * 2 > this.#streamsNow + this.#streamsBefore;
    return flood ? REFUSALS.resetFlood : undefined;
  }

  /**
   * Whether half of the young streams of this second were reset, if there were a hundred: not yet a flood, and no connection
   * to spend whole turns on.
   */
  get suspect(): boolean {
    return this.#resets >= SUSPECT_RESETS && this.#resets * 2 > this.#streamsNow + this.#streamsBefore;
  }

  #turn(nowMs: number): void {
    const passed = nowMs - this.#secondStartMs;
    if (passed < SECOND_MS) return;
    this.#streamsBefore = passed < 2 * SECOND_MS ? this.#streamsNow : 0;
    this.#streamsNow = 0;
    this.#resets = 0;
    this.#controls = 0;
    this.#frames = 0;
    this.#secondStartMs = nowMs;
  }
}
