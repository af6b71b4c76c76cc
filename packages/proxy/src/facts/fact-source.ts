import type { Fact, FactFailure, FactKind, FactNeed } from "@tulle/engine";

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
    const { record, request, body } = asker;
    return this.ask(
      (onFact) => fetcher.fetch(need, { record, request, body, onFact }),
      (fact) => asker.onFact(fact),
    );
  }

  /** Begins a question, if not too many are under way; `onFact` is told of an answer that does not come at once. */
  ask(
    begin: (onFact: (fact: Fact) => void) => Fact | PendingFact,
    onFact: (fact: Fact) => void,
  ): Fact | PendingFact {
    if (this.#pending >= this.#maxPending) {
      this.#onFull();
      return overflow(this.#maxPending);
    }
    const question = new Question(onFact, () => this.#pending--);
    const answer = begin(question.onFact);
    if (!isPending(answer)) return answer;
    this.#pending++;
    question.pending = answer;
    return question;
  }
}

function overflow(maxPending: number): FactFailure {
  return { kind: "failed", reason: "overflow", detail: `${maxPending} questions are under way` };
}

/** Counts a question for as long as it is under way. */
class Question implements PendingFact {
  pending: PendingFact | undefined;
  readonly #onFact: (fact: Fact) => void;
  readonly #onOver: () => void;

  constructor(onFact: (fact: Fact) => void, onOver: () => void) {
    this.#onFact = onFact;
    this.#onOver = onOver;
  }

  readonly onFact = (fact: Fact): void => {
    if (this.#end() !== undefined) this.#onFact(fact);
  };

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
