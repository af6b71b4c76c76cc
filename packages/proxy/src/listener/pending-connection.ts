import type { Socket } from "node:net";

import type { WheelTimer } from "@tulle/base";

import type { ConnectionSet } from "../connection/connection-set.js";
import type { ServerConnection } from "../connection/server-connection.js";
import type { Parked } from "../stream/parking.js";
import type { TcpContext } from "../tcp/contract.js";
import { resetEnd } from "../tcp/tcp-pipe.js";

/** A client of a service that does not exist must have said something within, or is refused. */
const NOBODY_TIMEOUT_MS = 1000;

/** Who serves a connection in the end. */
export interface PendingOwner {
  /** Whether configuration has not come yet. */
  readonly waiting: boolean;
  /** Looks again how a connection is to be carried. */
  accept(socket: Socket): void;
  serveHttp(socket: Socket): void;
}

/** A connection that nobody serves yet. */
abstract class Pending implements ServerConnection {
  readonly busy = false;
  protected readonly socket: Socket;
  protected readonly owner: PendingOwner;
  protected readonly tcp: TcpContext;
  readonly #connections: ConnectionSet;
  readonly #timer: WheelTimer;
  #held = false;

  constructor(socket: Socket, owner: PendingOwner, tcp: TcpContext, connections: ConnectionSet) {
    this.socket = socket;
    this.owner = owner;
    this.tcp = tcp;
    this.#connections = connections;
    this.#timer = tcp.coarseWheel.timer(() => this.onTimeout());
  }

  drain(): void {
    this.destroy();
  }

  destroy(): void {
    this.leave();
    this.socket.destroy();
  }

  protected get held(): boolean {
    return this.#held;
  }

  protected abstract onTimeout(): void;

  /** Keeps the connection until `leave`, or until `onTimeout` after so long. */
  protected hold(ms: number): void {
    this.#held = true;
    this.#timer.arm(ms);
    this.socket.once("close", this.#onClose);
    this.#connections.add(this);
  }

  /** Lets go of the connection. Returns whether it was held. */
  protected leave(): boolean {
    const held = this.#held;
    this.#held = false;
    this.#timer.disarm();
    this.socket.removeListener("close", this.#onClose);
    this.#connections.remove(this);
    return held;
  }

  readonly #onClose = (): void => {
    this.leave();
  };
}

/** A connection that waits for its configuration. */
export class Arrival extends Pending implements Parked {
  look(): void {
    this.hold(this.tcp.parking.timeoutMs);
    this.#park();
  }

  onConfigurationChanged(): void {
    if (this.owner.waiting) this.#park();
    else if (this.leave()) this.owner.accept(this.socket);
  }

  /** HTTP can say at least what is wrong. */
  protected onTimeout(): void {
    if (this.leave()) this.owner.serveHttp(this.socket);
  }

  protected override leave(): boolean {
    this.tcp.parking.remove(this);
    return super.leave();
  }

  #park(): void {
    if (this.held && !this.tcp.parking.add(this)) this.onTimeout();
  }
}

/**
 * A connection to a service that does not exist: a client that seems to speak HTTP is told so, any other one is refused,
 * as by a port where nobody listens.
 */
export class Unserved extends Pending {
  listen(): void {
    this.socket.once("data", this.#onFirst);
    this.socket.once("end", this.#onEnd);
    this.hold(NOBODY_TIMEOUT_MS);
  }

  protected onTimeout(): void {
    this.#refuse();
  }

  protected override leave(): boolean {
    this.socket.removeListener("data", this.#onFirst);
    this.socket.removeListener("end", this.#onEnd);
    return super.leave();
  }

  readonly #onFirst = (first: Buffer): void => {
    if (!startsMethod(first[0])) {
      this.#refuse();
      return;
    }
    if (!this.leave()) return;
    this.socket.pause();
    this.socket.unshift(first);
    this.owner.serveHttp(this.socket);
  };

  readonly #onEnd = (): void => this.destroy();

  #refuse(): void {
    if (this.leave()) resetEnd({ socket: this.socket, transport: this.socket });
  }
}

/** Methods of HTTP in use are of capital letters. */
function startsMethod(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x41 && byte <= 0x5a;
}
