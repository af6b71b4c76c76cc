import type { ServerConnection } from "./server-connection.js";

/** The connections of a listener, for draining and closing. */
export class ConnectionSet {
  readonly #connections = new Set<ServerConnection>();
  #onEmpty: (() => void) | undefined;
  #drainIdleMs = -1;

  get size(): number {
    return this.#connections.size;
  }

  /** Exchanges under way. */
  get busy(): number {
    let busy = 0;
    for (const connection of this.#connections) if (connection.busy) busy++;
    return busy;
  }

  /** Whether `drain` was called. */
  get draining(): boolean {
    return this.#drainIdleMs >= 0;
  }

  add(connection: ServerConnection): void {
    this.#connections.add(connection);
    if (this.draining) connection.drain(this.#drainIdleMs);
  }

  remove(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  /** Lets every connection end after its exchange, idle ones after `idleMs`. Calls `onEmpty` when none is left. */
  drain(idleMs: number, onEmpty: () => void): void {
    this.#drainIdleMs = idleMs;
    this.#onEmpty = onEmpty;
    for (const connection of this.#connections) connection.drain(idleMs);
    if (this.#connections.size === 0) onEmpty();
  }

  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}
