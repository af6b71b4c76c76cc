import { resetSocket } from "../socket-reset.js";
import type { TcpEnd } from "./contract.js";

const NOTHING = Buffer.alloc(0);

/** Is told what happens on a pipe. */
export interface TcpPipeOwner {
  /** Bytes came from the client, or were handed on to it. */
  onBytes(from: "client" | "upstream", bytes: number): void;
  /** Both sides are closed. */
  onPipeClosed(): void;
  /** A side broke off instead of ending; the other one is reset. */
  onPipeCut(by: "client" | "upstream", detail: string): void;
}

/** A side with what is known of its end. */
interface Side {
  readonly name: "client" | "upstream";
  readonly end: TcpEnd;
  /** It said that it sends no more. */
  ended: boolean;
  closed: boolean;
  detail: string;
}

/**
 * Carries bytes between two sockets, both ways. A side that cannot take more stops the other one (what waits is bounded
 * by the sockets' high-water marks); the end of one direction is passed on while the other goes on; a side that breaks
 * off resets the other one, so that nobody takes a cut stream for a complete one.
 */
export class TcpPipe {
  readonly #client: Side;
  readonly #upstream: Side;
  readonly #owner: TcpPipeOwner;

  /**
   * Both sockets must be open and paused, or not read yet. `head`: what was read from the client before; it may have
   * ended.
   */
  constructor(client: TcpEnd, upstream: TcpEnd, owner: TcpPipeOwner, head: Buffer) {
    this.#client = { name: "client", end: client, ended: false, closed: false, detail: "" };
    this.#upstream = { name: "upstream", end: upstream, ended: false, closed: false, detail: "" };
    this.#owner = owner;
    if (head.length > 0) {
      owner.onBytes("client", head.length);
      upstream.socket.write(head);
    }
    this.#carry(this.#client, this.#upstream);
    this.#carry(this.#upstream, this.#client);
  }

  /** Breaks off both sides. */
  reset(): void {
    resetEnd(this.#client.end);
    resetEnd(this.#upstream.end);
  }

  #carry(from: Side, to: Side): void {
    const source = from.end.socket;
    const sink = to.end.socket;
    source.on("data", (chunk: Buffer) => {
      this.#owner.onBytes(from.name, chunk.length);
      if (!sink.write(chunk)) source.pause();
    });
    sink.on("drain", () => source.resume());
    source.on("end", () => this.#onEnd(from, to));
    source.on("error", (error: NodeJS.ErrnoException) => {
      from.detail = error.code ?? error.message;
    });
    source.on("close", () => this.#onClose(from, to));
    if (source.readableEnded) this.#onEnd(from, to);
    else source.resume();
  }

  /**
   * Passes an end on, if it is one: when a reset comes along with data, Node.js tells an end instead. Writing nothing
   * to the connection shows the difference; that is not possible while other bytes wait to be written, or after our end.
   */
  #onEnd(from: Side, to: Side): void {
    const { socket, transport } = from.end;
    const pass = (): void => {
      from.ended = true;
      to.end.socket.end();
    };
    if (socket.writableEnded || socket.writableLength > 0 || !transport.writable) {
      pass();
      return;
    }
    transport.write(NOTHING, (error) => {
      // An error closes the side, which has not ended then.
      if (error === undefined || error === null) pass();
    });
  }

  #onClose(side: Side, other: Side): void {
    side.closed = true;
    if (other.closed) {
      this.#owner.onPipeClosed();
      return;
    }
    if (!side.ended) {
      this.#owner.onPipeCut(side.name, side.detail);
      resetEnd(other.end);
      return;
    }
    // It ended and then closed, so nobody takes what the other side still sends: what was sent to that is delivered.
    const { socket } = other.end;
    socket.pause();
    if (socket.writableFinished) socket.destroy();
    else socket.once("finish", () => socket.destroy());
  }
}

/**
 * Breaks a connection off so that the peer notices: TCP's RST (RFC 9293, 3.10.5). Where the end was sent before, the peer
 * has all that it will get and the connection is just closed.
 */
export function resetEnd({ socket, transport }: TcpEnd): void {
  if (!transport.destroyed && !transport.connecting && !socket.writableEnded) {
    // Node.js ends the stream before it resets it, which a peer cannot tell from a proper end.
    transport.destroySoon = () => transport.destroy();
    resetSocket(transport);
  }
  socket.destroy();
}
