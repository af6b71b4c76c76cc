import type { Socket } from "node:net";

import type { TimerWheel } from "@tulle/base";

import { MAX_HELLO_BYTES, readClientHello, type ClientHello } from "../detection/client-hello.js";

/** What becomes of a connection whose ClientHello is read. At most one is called; none when the client leaves before. */
export interface HelloOwner {
  /** The socket is paused; `head` is what was read from it. */
  onHello(hello: ClientHello, head: Buffer): void;
  /** It is no TLS, or what is too long to be waited for; `head` is what was read. */
  onOther(head: Buffer): void;
  onLate(): void;
}

/** Reads the ClientHello that a connection begins with, for which its client has `timeoutMs`. */
export function readHello(socket: Socket, timeoutMs: number, wheel: TimerWheel, owner: HelloOwner): void {
  let head: Buffer = Buffer.alloc(0);
  let needed = 1;
  const leave = (): void => {
    timer.disarm();
    socket.removeListener("data", onData);
    socket.removeListener("end", onEnd);
    socket.removeListener("close", leave);
    socket.pause();
  };
  const timer = wheel.timer(() => {
    leave();
    owner.onLate();
  });
  const onData = (chunk: Buffer): void => {
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
    if (head.length < needed) return;
    const hello = readClientHello(head);
    if (typeof hello === "number" && head.length < MAX_HELLO_BYTES) {
      needed = hello;
      return;
    }
    leave();
    if (typeof hello === "object") owner.onHello(hello, head);
    else owner.onOther(head);
  };
  // A health check by TCP: connects and leaves.
  const onEnd = (): void => {
    socket.destroy();
  };
  timer.arm(timeoutMs);
  socket.on("data", onData);
  socket.once("end", onEnd);
  socket.once("close", leave);
  socket.resume();
}
