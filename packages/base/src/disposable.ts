/** Something that holds a timer, a listener, a socket or the like until it is disposed. Disposing twice is harmless. */
export interface Disposable {
  [Symbol.dispose](): void;
}

/** Wraps a function as a disposable that calls it at most once. */
export function disposable(dispose: () => void): Disposable {
  let pending: (() => void) | undefined = dispose;
  return {
    [Symbol.dispose]() {
      const run = pending;
      pending = undefined;
      run?.();
    },
  };
}

/**
 * Owns disposables and disposes them in reverse order of registration. What is added after disposal is disposed at
 * once, so a late answer cannot leak a timer.
 */
export class DisposableStack implements Disposable {
  #owned: Disposable[] = [];
  #disposed = false;

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Takes ownership of `item` and returns it. */
  use<T extends Disposable>(item: T): T {
    if (this.#disposed) item[Symbol.dispose]();
    else this.#owned.push(item);
    return item;
  }

  /** Calls `dispose` when this stack is disposed. */
  defer(dispose: () => void): void {
    this.use(disposable(dispose));
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const owned = this.#owned;
    this.#owned = [];
    for (let i = owned.length - 1; i >= 0; i--) owned[i]?.[Symbol.dispose]();
  }
}

/** Holds at most one disposable; setting another disposes the one before. */
export class MutableDisposable<T extends Disposable> implements Disposable {
  #current: T | undefined;
  #disposed = false;

  get value(): T | undefined {
    return this.#current;
  }

  set value(next: T | undefined) {
    const previous = this.#current;
    if (previous === next) return;
    this.#current = this.#disposed ? undefined : next;
    previous?.[Symbol.dispose]();
    if (this.#disposed) next?.[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.value = undefined;
    this.#disposed = true;
  }
}
