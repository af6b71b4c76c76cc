import type { Disposable, TimerWheel } from "@tulle/base";
import type { TunnelSettings } from "@tulle/engine";
import { createResponseParser, type ResponseHead } from "@tulle/http";

import type { TcpEnd } from "./contract.js";

/** Exactly one is called, later, unless the attempt is disposed. */
export interface TunnelListener {
  /** The connection is one to whom was asked for: it is paused, with unread bytes put back. */
  onTunnel(): void;
  /** The proxy said no, or nothing that is an answer; the connection is closed. `detail`: what it said. */
  onRefused(detail: string): void;
}

/**
 * Asks the proxy at the other end of a new connection for a connection to somebody else (CONNECT, RFC 9110 section 9.3.6,
 * over HTTP/1.1), and gives it `timeoutMs` to answer. Dispose the result to give up.
 */
export function openTunnel(
  { socket, transport }: TcpEnd,
  { target }: TunnelSettings,
  wheel: TimerWheel,
  timeoutMs: number,
  listener: TunnelListener,
): Disposable {
  let answer: ResponseHead | undefined;
  const parser = createResponseParser({
    onHead: (head) => {
      if (head.status >= 200 || head.status === 101) answer = head;
    },
    onBody: () => undefined,
    onEnd: () => undefined,
  });
  const finish = (): void => {
    timer.disarm();
    socket.removeListener("data", onData);
    socket.removeListener("end", onEnd);
    socket.removeListener("close", onEnd);
    socket.pause();
  };
  const close = (): void => {
    finish();
    socket.destroy();
    transport.destroy();
  };
  const refuse = (detail: string): void => {
    close();
    listener.onRefused(`CONNECT ${target}: ${detail}`);
  };
  const onData = (chunk: Buffer): void => {
    const read = parser.execute(chunk, 0, chunk.length);
    if (answer === undefined) {
      if (parser.error !== undefined) refuse(parser.error.message);
    } else if (answer.status < 200 || answer.status >= 300) {
      refuse(`${answer.status} ${answer.reason}`.trim());
    } else {
      finish();
      if (read < chunk.length) socket.unshift(chunk.subarray(read));
      listener.onTunnel();
    }
  };
  const onEnd = (): void => refuse("the proxy closed the connection");
  const timer = wheel.timer(() => refuse("no answer in time"));
  timer.arm(timeoutMs);
  // The reason is of no use to anybody: "close" follows.
  socket.on("error", () => undefined);
  socket.on("data", onData);
  socket.once("end", onEnd);
  socket.once("close", onEnd);
  parser.expect("CONNECT");
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, "latin1");
  return { [Symbol.dispose]: close };
}
