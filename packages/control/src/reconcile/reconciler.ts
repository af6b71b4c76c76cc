import { create } from "@bufbuild/protobuf";
import type { ProxyReconciliation } from "@tulle/api";
import { MeshError, type Clock, type Disposable, type Logger, type Timer } from "@tulle/base";
import { heldChecksum } from "@tulle/xds";
import { HeldQuerySchema } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { askKnown, canAnswer, type ConnectedAgent } from "../agents/index.js";
import type { AdsServer } from "../push/index.js";
import { differingNames } from "./differing-names.js";
import { readHeldNames, readHeldTypes } from "./held-answer.js";

/** Proxies that are asked at once; the others are asked a little later. */
const PARALLEL = 64;
/** Looks for proxies whose time has come, this many times in an interval. */
const LOOKS = 30;
const MIN_LOOK_MS = 100;
/** A difference that is seen in so many rounds, one after the other, is none of something on its way. */
const PERSISTENT_ROUNDS = 2;
/** A repair that did not help is tried again after twice the rounds of before, up to this. */
const MAX_ROUNDS = 64;
/** What the control plane itself keeps is translated anew once in so many rounds. */
const AUDIT_ROUNDS = 5;
/** A proxy's record is kept for so many intervals without it: it connects again after a repair. */
const KEEP_INTERVALS = 10;
/** Names that are sent again at once; with more the stream begins anew. */
const MAX_RESENT = 1000;

export interface ReconcilerOptions {
  readonly agents: () => readonly ConnectedAgent[];
  readonly ads: Pick<AdsServer, "audit" | "resend" | "restart"> & {
    readonly ledger: Pick<AdsServer["ledger"], "checksums" | "acknowledged">;
  };
  /** Between two comparisons with a proxy, milliseconds, on average. */
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** What is remembered of a proxy between rounds. */
interface Round {
  nextMs: number;
  seenMs: number;
  asking: boolean;
  checkedAt: number | undefined;
  differing: readonly string[];
  differingSince: number | undefined;
  /** Rounds in a row in which something differed. */
  rounds: number;
  repairs: number;
  error: string | undefined;
}

/**
 * Compares with every proxy, again and again, what it holds with what it has acknowledged, and what it was sent with what
 * translation gives now. Updates are what keeps proxies current; this finds what got lost on the way, wherever that was,
 * says so, and puts it right.
 */
export class Reconciler implements Disposable {
  readonly #options: ReconcilerOptions;
  readonly #rounds = new Map<string, Round>();
  readonly #timer: Timer | undefined;
  #asking = 0;
  #disposed = false;
  /** `tulle_reconcile_mismatch_total` by where the update was lost: `proxy`, or `translation`. */
  readonly mismatches = { proxy: 0, translation: 0 };
  /** `tulle_reconcile_rounds_total` */
  rounds = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    const { clock, intervalMs } = options;
    if (intervalMs <= 0) return;
    const lookMs = Math.max(MIN_LOOK_MS, intervalMs / LOOKS);
    this.#timer = clock.setInterval(() => this.#look(), lookMs, { keepAlive: false });
  }

  /** Proxies that hold something else than they were sent. */
  get differing(): number {
    let count = 0;
    for (const { rounds } of this.#rounds.values()) if (rounds >= PERSISTENT_ROUNDS) count++;
    return count;
  }

  /** What came of comparing with a proxy; undefined for one that cannot be asked. */
  stateOf(proxy: string): ProxyReconciliation | undefined {
    const round = this.#rounds.get(proxy);
    if (round === undefined) return undefined;
    const { checkedAt, differing, differingSince, rounds, error } = round;
    const persists = rounds >= PERSISTENT_ROUNDS;
    return {
      checkedAt,
      differing: persists ? differing : [],
      ...(persists && differingSince !== undefined ? { differingSince } : {}),
      ...(error === undefined ? {} : { error }),
    };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #look(): void {
    const { agents, clock, intervalMs } = this.#options;
    const nowMs = clock.monotonic();
    for (const agent of agents()) {
      if (!canAnswer(agent, "held")) continue;
      const round = this.#roundOf(agent.id, nowMs);
      round.seenMs = nowMs;
      if (round.asking || round.nextMs > nowMs || this.#asking >= PARALLEL) continue;
      round.nextMs = nowMs + this.#jittered(intervalMs);
      round.asking = true;
      this.#asking++;
      void this.#compare(agent, round).finally(() => {
        round.asking = false;
        this.#asking--;
      });
    }
    for (const [id, { seenMs }] of this.#rounds)
      if (nowMs - seenMs > KEEP_INTERVALS * intervalMs) this.#rounds.delete(id);
  }

  #roundOf(id: string, nowMs: number): Round {
    let round = this.#rounds.get(id);
    if (round === undefined) {
      round = {
        // Those that connect together are not asked together.
        nextMs: nowMs + this.#options.intervalMs * this.#options.random(),
        seenMs: nowMs,
        asking: false,
        checkedAt: undefined,
        differing: [],
        differingSince: undefined,
        rounds: 0,
        repairs: 0,
        error: undefined,
      };
      this.#rounds.set(id, round);
    }
    return round;
  }

  /** From nine to eleven tenths. */
  #jittered(ms: number): number {
    return ms * (0.9 + 0.2 * this.#options.random());
  }

  /** Never rejects. */
  async #compare(agent: ConnectedAgent, round: Round): Promise<void> {
    const { clock, logger } = this.#options;
    this.rounds++;
    try {
      this.#audit(agent.id);
      const differing = await this.#differingTypes(agent);
      if (this.#disposed) return;
      round.checkedAt = clock.now();
      round.error = undefined;
      if (differing.length > 0) await this.#differs(agent, round, differing);
      else this.#agrees(agent, round);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      round.error = error.message;
      if (error.kind === "internal")
        logger.error("comparing with a proxy failed", { proxy: agent.id, error });
      else logger.debug("a proxy does not say what it holds", { proxy: agent.id, error });
    }
  }

  /** What this control plane should have sent. */
  #audit(proxy: string): void {
    const { ads, intervalMs, logger } = this.#options;
    const healed = ads.audit(proxy, AUDIT_ROUNDS * intervalMs);
    if (healed.length === 0) return;
    this.mismatches.translation += healed.length;
    logger.warn("a change had passed unnoticed; what it concerns is made and sent anew", {
      resources: healed.slice(0, 10),
      count: healed.length,
    });
  }

  /** Types of which the proxy holds something else than it acknowledged, as far as nothing was on its way meanwhile. */
  async #differingTypes(agent: ConnectedAgent): Promise<readonly string[]> {
    const { ledger } = this.#options.ads;
    const before = ledger.checksums(agent.id);
    const query = create(HeldQuerySchema, { expected: Object.fromEntries(before) });
    const held = readHeldTypes(await askKnown(agent, { case: "held", value: query }));
    const after = ledger.checksums(agent.id);
    return [...before].flatMap(([typeUrl, checksum]) => {
      const settled = after.get(typeUrl) === checksum;
      const agrees = (held.get(typeUrl) ?? NOTHING) === checksum;
      return settled && !agrees ? [typeUrl] : [];
    });
  }

  #agrees({ id }: ConnectedAgent, round: Round): void {
    if (round.rounds >= PERSISTENT_ROUNDS)
      this.#options.logger.info("a proxy holds what it was sent again", { proxy: id });
    round.rounds = 0;
    round.repairs = 0;
    round.differing = [];
    round.differingSince = undefined;
  }

  async #differs(agent: ConnectedAgent, round: Round, differing: readonly string[]): Promise<void> {
    round.rounds++;
    round.differing = differing;
    round.differingSince ??= this.#options.clock.now();
    const due = Math.min(MAX_ROUNDS, PERSISTENT_ROUNDS * 2 ** round.repairs);
    if (round.rounds < due) return;
    if (round.repairs === 0) this.mismatches.proxy++;
    let resent = round.repairs === 0;
    for (const typeUrl of differing) resent = (await this.#sendAgain(agent, typeUrl, resent)) && resent;
    if (!resent) this.#options.ads.restart(agent.id);
    round.repairs++;
  }

  /** Says what differs, and sends it again if that is wanted. Returns whether it could. */
  async #sendAgain(agent: ConnectedAgent, typeUrl: string, resend: boolean): Promise<boolean> {
    const { ads, logger } = this.#options;
    const query = create(HeldQuerySchema, { typeUrl });
    const { resources, cut } = readHeldNames(await askKnown(agent, { case: "held", value: query }));
    const acknowledged = ads.ledger.acknowledged(agent.id, typeUrl);
    // Something is on its way: the next round will see.
    if (acknowledged === undefined) return true;
    const { names, text } = differingNames(acknowledged, resources, cut);
    if (names.length === 0 && !cut) return true;
    logger.warn(
      resend
        ? "a proxy does not hold what it was sent; it is sent again"
        : "a proxy does not hold what it was sent; its stream begins anew",
      { proxy: agent.id, typeUrl, differences: text },
    );
    if (!resend || names.length === 0 || names.length > MAX_RESENT) return false;
    return ads.resend(agent.id, typeUrl, names);
  }
}

/** What a checksum of no resources is. */
const NOTHING = heldChecksum([]);
