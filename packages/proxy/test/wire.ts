// A raw connection whose every byte the test sees.
import { connect, type Socket } from "node:net";

import { eventually } from "@tulle/testkit";

/** One end of a TCP connection, half-open, with what came so far. */
export class Wire {
  readonly socket: Socket;
  received = "";
  /** How the other side ended: "end", an error's code, or "" while it has not. */
  ended = "";

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => (this.received += chunk.toString("latin1")));
    socket.on("end", () => (this.ended ||= "end"));
    socket.on("error", (error: NodeJS.ErrnoException) => (this.ended = error.code ?? "error"));
    socket.on("close", () => (this.ended ||= "close"));
  }

  static to(port: number): Wire {
    return new Wire(connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true }));
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Waits until `text` has come; gives everything up to its end, and forgets that. */
  async until(text: string): Promise<string> {
    await eventually(() => this.received.includes(text) || this.ended !== "");
    const end = this.received.indexOf(text);
    if (end < 0) throw new Error(`ended (${this.ended}) with ${JSON.stringify(this.received)}`);
    const taken = this.received.slice(0, end + text.length);
    this.received = this.received.slice(end + text.length);
    return taken;
  }

  /** Waits for the other side's end; gives how it ended. */
  async end(): Promise<string> {
    await eventually(() => this.ended !== "");
    return this.ended;
  }
}
