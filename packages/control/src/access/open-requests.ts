import type { Clock, Disposable, Timer } from "@tulle/base";

import type { Authenticated } from "./authenticator.js";

/** How often it is looked for proofs that have expired. */
const LOOK_EVERY_MS = 5000;

/** Requests that are being answered, watches and blocking queries among them: they end with the proof of who asked. */
export class OpenRequests implements Disposable {
  readonly #open = new Set<{ readonly who: Authenticated; readonly end: () => void }>();
  readonly #timer: Timer;

  constructor(clock: Clock) {
    const look = (): void =>
      this.#endThose(({ expiresAt }) => expiresAt !== undefined && expiresAt <= clock.now());
    this.#timer = clock.setInterval(look, LOOK_EVERY_MS, { keepAlive: false });
  }

  /** Notes a request until the answer is sent or `end` was called. The function returned is to be called then. */
  add(who: Authenticated, end: () => void): () => void {
    const entry = { who, end };
    this.#open.add(entry);
    return () => this.#open.delete(entry);
  }

  /** Ends what was asked with a token that holds no more. */
  revoked(tokenName: string): void {
    this.#endThose((who) => who.tokenName === tokenName);
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #endThose(isOver: (who: Authenticated) => boolean): void {
    for (const entry of this.#open) {
      if (!isOver(entry.who)) continue;
      this.#open.delete(entry);
      entry.end();
    }
  }
}
