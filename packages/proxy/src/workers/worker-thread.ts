import { MeshError, type Clock } from "@tulle/base";

import type { Answers, Question, ToWorker, Unasked, WorkerChannel } from "./contract.js";

/** What a worker says unasked, and how it ended. */
export interface WorkerListener {
  onMessage(message: Unasked): void;
  /** It is gone. `error`: why, when nobody had asked it to close. */
  onEnd(error: Error | undefined): void;
}

/** Questions that a worker may owe answers to. One that owes more does nothing any more. */
const MAX_WAITING = 10_000;

interface Waiting {
  readonly resolve: (answer: Answers[keyof Answers]) => void;
  readonly reject: (error: MeshError) => void;
}

/** One worker: asked questions and told things. What is said to one that has ended is lost. */
export class WorkerThread {
  readonly ended: Promise<void>;
  readonly #channel: WorkerChannel;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #hasEnded = false;

  constructor(channel: WorkerChannel, clock: Clock, listener: WorkerListener) {
    this.#channel = channel;
    this.#clock = clock;
    channel.onMessage((message) => {
      if (message.kind === "answer") this.#settle(message.id)?.resolve(message.answer);
      else if (message.kind === "failure") this.#settle(message.id)?.reject(errorOf(message.error));
      else listener.onMessage(message);
    });
    this.ended = new Promise((resolve) => {
      channel.onEnd((error) => {
        this.#hasEnded = true;
        for (const id of this.#waiting.keys()) this.#settle(id)?.reject(gone(error));
        listener.onEnd(error);
        resolve();
      });
    });
  }

  tell(message: Exclude<ToWorker, { readonly kind: "ask" }>): void {
    if (!this.#hasEnded) this.#channel.post(message);
  }

  /** Rejects with the worker's error, or `canceled` PROXY_WORKER_ENDED. Waits as long as the worker lives. */
  ask<K extends Question["kind"]>(question: Extract<Question, { readonly kind: K }>): Promise<Answers[K]> {
    if (this.#hasEnded) return Promise.reject(gone(undefined));
    if (this.#waiting.size >= MAX_WAITING) this.#channel.terminate();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // The worker answers a question of this kind with this kind of answer.
      this.#waiting.set(id, { resolve: (answer) => resolve(answer as Answers[K]), reject });
      this.#channel.post({ kind: "ask", id, question });
    });
  }

  /** Ends it at once. */
  terminate(): void {
    this.#channel.terminate();
  }

  /** Asks it to close, and ends it when it has not within `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const timer = this.#clock.setTimeout(() => this.#channel.terminate(), graceMs);
    // A rejection says that it has ended already.
    await this.ask({ kind: "close" }).catch(() => undefined);
    await this.ended;
    timer[Symbol.dispose]();
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}

function errorOf({
  kind,
  code,
  message,
}: {
  kind: MeshError["kind"];
  code: string;
  message: string;
}): MeshError {
  return new MeshError(kind, code, message);
}

function gone(cause: Error | undefined): MeshError {
  return new MeshError("canceled", "PROXY_WORKER_ENDED", "the worker thread has ended", { cause });
}
