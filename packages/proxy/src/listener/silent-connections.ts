import type { Socket } from "node:net";

import type { TimerWheel } from "@tulle/base";

/** What becomes of a connection that is waited for. At most one is called; neither when it closes. */
export interface SilentOwner {
  /** The first bytes, taken off the socket, which stands still. */
  onFirst(bytes: Buffer): void;
  onLate(): void;
}

/** Connections that have not said anything yet: who closes them loses nobody's request. */
export class SilentConnections {
  readonly #sockets = new Set<Socket>();
  readonly #wheel: TimerWheel;

  constructor(wheel: TimerWheel) {
    this.#wheel = wheel;
  }

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  remove(socket: Socket): void {
    this.#sockets.delete(socket);
  }

  /** Adds a connection until it says something, for which it has `timeoutMs`. */
  awaitFirst(socket: Socket, timeoutMs: number, owner: SilentOwner): void {
    const timer = this.#wheel.timer(() => owner.onLate());
    timer.arm(timeoutMs);
    this.add(socket);
    socket.once("close", () => timer.disarm());
    // A health check by TCP: connects and leaves.
    const onEnd = (): void => {
      socket.destroy();
    };
    socket.once("end", onEnd);
    socket.once("data", (first: Buffer) => {
      socket.removeListener("end", onEnd);
      timer.disarm();
      this.remove(socket);
      socket.pause();
      owner.onFirst(first);
    });
    socket.resume();
  }

  closeAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
