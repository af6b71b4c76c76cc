import type { Fact, FactKind, FactNeed } from "@tulle/engine";

import { isPending, type FactAsker, type FactFetcher, type PendingFact } from "./contract.js";

/** Gets what steps must know from outside, by its kind. Bounded in count; each fetcher bounds its own time. */
export class FactSource {
  readonly #fetchers: ReadonlyMap<FactKind, FactFetcher>;
  readonly #maxPending: number;
  readonly #onFull: () => void;
  #pending = 0;

  /** `onFull`: a question was not asked because `maxPending` others are under way. */
  constructor(fetchers: readonly FactFetcher[], maxPending: number, onFull: () => void) {
    this.#fetchers = new Map(fetchers.map((fetcher) => [fetcher.kind, fetcher]));
    this.#maxPending = maxPending;
    this.#onFull = onFull;
  }

  /** Questions under way. */
  get pending(): number {
    return this.#pending;
  }

  /** The answer, or what to cancel when nobody waits for it any more. */
  fetch(need: FactNeed, asker: FactAsker): Fact | PendingFact {
    const fetcher = this.#fetchers.get(need.kind);
    if (fetcher === undefined)
      return { kind: "failed", reason: "unsupported", detail: `this proxy cannot ask for ${need.kind}` };
    if (this.#pending >= this.#maxPending) {
      this.#onFull();
      return { kind: "failed", reason: "overflow", detail: `${this.#maxPending} questions are under way` };
    }
    const question = new Question(asker, () => this.#pending--);
    const answer = fetcher.fetch(need, question);
    if (!isPending(answer)) return answer;
    this.#pending++;
    question.pending = answer;
    return question;
  }
}

/** Counts a question for as long as it is under way. */
class Question implements FactAsker, PendingFact {
  readonly record: FactAsker["record"];
  readonly request: FactAsker["request"];
  readonly body: FactAsker["body"];
  pending: PendingFact | undefined;
  readonly #asker: FactAsker;
  readonly #onOver: () => void;

  constructor(asker: FactAsker, onOver: () => void) {
    this.record = asker.record;
    this.request = asker.request;
    this.body = asker.body;
    this.#asker = asker;
    this.#onOver = onOver;
  }

  onFact(fact: Fact): void {
    if (this.#end() !== undefined) this.#asker.onFact(fact);
  }

  cancel(): void {
    this.#end()?.cancel();
  }

  #end(): PendingFact | undefined {
    const { pending } = this;
    this.pending = undefined;
    if (pending !== undefined) this.#onOver();
    return pending;
  }
}
