import { connect, type Socket } from "node:net";

import { eventually } from "@tulle/testkit";
import { expect } from "vitest";

import type { Workload } from "./workload.js";

/** A connection to an upstream's listener, with what came so far. */
export class Connection {
  readonly socket: Socket;
  closed = "";
  #received = "";

  constructor(workload: Workload, upstream: string) {
    const { hostname, port } = new URL(workload.upstream(upstream));
    this.socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => (this.#received += chunk.toString("latin1")));
    this.socket.on("end", () => (this.closed ||= "end"));
    this.socket.on("error", (error: NodeJS.ErrnoException) => (this.closed ||= error.code ?? "error"));
  }

  get received(): string {
    return this.#received;
  }

  /** Waits until all that came is `expected`, and forgets it. */
  async expect(expected: string): Promise<void> {
    await eventually(() => this.#received.length >= expected.length || this.closed !== "");
    expect(this.#received).toBe(expected);
    this.#received = "";
  }
}
