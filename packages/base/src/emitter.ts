import { disposable, type Disposable } from "./disposable.js";

/** Subscribes a listener; dispose the result to unsubscribe. */
export type Event<T> = (listener: (value: T) => void) => Disposable;

/**
 * The private sending end of an {@link Event}. Listeners are called in order of subscription, synchronously; one
 * added or removed during a call takes effect with the next. What a listener throws goes to `onError`, so that one
 * bad listener does not starve the rest.
 */
export class Emitter<T> {
  #listeners: readonly ((value: T) => void)[] = [];
  readonly #onError: (thrown: unknown) => void;

  constructor(onError: (thrown: unknown) => void = rethrowLater) {
    this.#onError = onError;
  }

  readonly event: Event<T> = (listener) => {
    // Copy on write keeps emit() free of copies and safe against changes made by a listener.
    this.#listeners = [...this.#listeners, listener];
    return disposable(() => {
      const index = this.#listeners.indexOf(listener);
      this.#listeners = this.#listeners.filter((_, i) => i !== index);
    });
  };

  get hasListeners(): boolean {
    return this.#listeners.length > 0;
  }

  emit(value: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(value);
      } catch (thrown) {
        this.#onError(thrown);
      }
    }
  }
}

function rethrowLater(thrown: unknown): void {
  void Promise.reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
}
