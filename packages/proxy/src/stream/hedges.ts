import type { WheelTimer } from "@tulle/base";
import { countRetry, currentCluster, mayHedge, pick, type Plan } from "@tulle/engine";

import { HedgedTry, type HedgedRequest } from "./hedged-try.js";
import type { Retries } from "./retries.js";

/**
 * The tries that run beside the first one of a request, on other endpoints: at once, after a delay, or when the first has
 * reached its per-try timeout. Made by the first request of a connection whose route hedges, and reused.
 */
export class Hedges {
  readonly #request: HedgedRequest;
  readonly #retries: Retries;
  readonly #live: HedgedTry[] = [];
  readonly #timer: WheelTimer;
  #plan: Plan | undefined;

  constructor(request: HedgedRequest, retries: Retries) {
    this.#request = request;
    this.#retries = retries;
    this.#timer = request.context.fineWheel.timer(() => this.#onTimer());
  }

  /** How many are under way. */
  get live(): number {
    return this.#live.length;
  }

  /** A try of the request, whole, has been sent. */
  begin(plan: Plan): void {
    const { hedge } = plan;
    if (hedge === undefined) return;
    this.#plan = plan;
    if (this.#request.record.attempt.attempts === 1) {
      const { entropy } = this.#retries.refreshView();
      const more = entropy / 0x1_0000_0000 < hedge.initialChance ? 1 : 0;
      for (let count = 1; count < hedge.initial + more; count++) if (!this.#add(plan)) break;
    }
    if (hedge.afterMs > 0) this.#timer.arm(hedge.afterMs);
  }

  /** One of the retries, which begins while the try before goes on. Returns whether there is one. */
  addRetry(plan: Plan): boolean {
    if (!this.#canRepeat || this.#retries.after(plan, { kind: "per-try-timeout" }) < 0) return false;
    return this.#launch(plan, false);
  }

  remove(hedge: HedgedTry): void {
    const at = this.#live.indexOf(hedge);
    if (at >= 0) this.#live.splice(at, 1);
  }

  /** Ends all, and begins no more. */
  cancel(): void {
    this.#timer.disarm();
    this.#plan = undefined;
    for (let hedge = this.#live.pop(); hedge !== undefined; hedge = this.#live.pop()) hedge.cancel(false);
  }

  get #canRepeat(): boolean {
    const { record, body } = this.#request;
    return body.done && body.replayable && record.request.upgrade === "";
  }

  #onTimer(): void {
    const plan = this.#plan;
    if (plan === undefined || !this.#add(plan)) return;
    if (this.#plan === plan) this.#timer.arm(plan.hedge?.afterMs ?? 0);
  }

  #add(plan: Plan): boolean {
    if (!this.#canRepeat) return false;
    const { request, attempt } = this.#request.record;
    const view = this.#retries.refreshView();
    if (!mayHedge(view, plan, request, attempt) || !this.#launch(plan, true)) return false;
    countRetry(view, plan, attempt, undefined);
    return true;
  }

  /** `elsewhere`: there is no use in it on an endpoint that was tried. */
  #launch(plan: Plan, elsewhere: boolean): boolean {
    const { record, context } = this.#request;
    const { attempt } = record;
    const view = this.#retries.refreshView();
    const picked = pick(view, plan, attempt);
    if ("kind" in picked || (elsewhere && attempt.triedSlots.includes(picked.slot))) return false;
    const cluster = currentCluster(view, plan, attempt);
    attempt.attempts++;
    attempt.triedSlots.push(picked.slot);
    context.upstreamMetrics.of(cluster).retries.inc();
    const hedge = new HedgedTry(this.#request, plan, cluster, picked);
    this.#live.push(hedge);
    hedge.start();
    return true;
  }
}
