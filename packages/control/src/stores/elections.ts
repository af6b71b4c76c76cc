import { disposable, type Disposable } from "@tulle/base";

interface Candidate {
  readonly name: string;
  readonly onElected: () => void;
  readonly onLost: () => void;
}

/** Elections among the candidates of one process: the longest waiting one leads. */
export class Elections {
  readonly #queues = new Map<string, Candidate[]>();

  campaign(
    election: string,
    name: string,
    callbacks: { readonly onElected: () => void; readonly onLost: () => void },
  ): Disposable {
    const candidate: Candidate = { name, ...callbacks };
    const queue = this.#queues.get(election) ?? [];
    this.#queues.set(election, queue);
    queue.push(candidate);
    if (queue[0] === candidate) candidate.onElected();
    return disposable(() => this.#withdraw(election, queue, candidate));
  }

  #withdraw(election: string, queue: Candidate[], candidate: Candidate): void {
    const led = queue[0] === candidate;
    queue.splice(queue.indexOf(candidate), 1);
    if (queue.length === 0) this.#queues.delete(election);
    if (!led) return;
    candidate.onLost();
    queue[0]?.onElected();
  }
}
