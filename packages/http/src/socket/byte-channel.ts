import type { Socket } from "node:net";

import { DirectChannel } from "./direct-channel.js";
import { StreamChannel } from "./stream-channel.js";

/**
 * The bytes of a connected socket. Its events (`end`, `error`, `close`) and its end stay the socket's own: `socket.end()`
 * comes after everything that was written here.
 */
export interface ByteChannel {
  /** Begins to read. `bytes.subarray(0, end)` is **borrowed**: the next read overwrites it. Once. */
  start(onBytes: (bytes: Buffer, end: number) => void): void;
  pause(): void;
  resume(): void;
  readonly paused: boolean;
  /**
   * Hands bytes over. Returns true when the kernel has taken all of them and their memory is free; otherwise `onTaken` is
   * called once it has, or will not: in the order of the writes. Nothing is written to a socket that has ended.
   */
  write(bytes: Buffer, onTaken: () => void): boolean;
  /**
   * Gives the socket back: what comes from now on comes by its own events, and what its next user writes goes out after
   * all that was written here. Nothing of the channel may be used after.
   */
  release(): void;
}

/** The channel of a socket, past Node.js' streams where that is possible. Nobody else may read from or write to it. */
export function openChannel(socket: Socket): ByteChannel {
  return DirectChannel.open(socket) ?? new StreamChannel(socket);
}
