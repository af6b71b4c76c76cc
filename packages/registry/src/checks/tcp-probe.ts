import type { Socket } from "node:net";

import { formatAddress } from "@tulle/base";

import type { ProbeDefinition } from "../definition.js";
import type { ProbeResult } from "./probe.js";
import { openSocket, readyEvent, reasonOf } from "./probe-socket.js";

/** Passes when a connection can be made, its TLS handshake included; nothing is sent. */
export function probeTcp(
  target: Extract<ProbeDefinition, { kind: "tcp" }>,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const what = `TCP connect ${formatAddress(target.host, target.port)}`;
  return new Promise((resolve) => {
    const fail = (reason: string): void => resolve({ status: "critical", output: `${what}: ${reason}` });
    let socket: Socket;
    try {
      socket = openSocket(target);
    } catch (thrown) {
      fail(reasonOf(thrown));
      return;
    }
    const stop = (): void => {
      socket.destroy();
    };
    signal.addEventListener("abort", stop, { once: true });
    socket.on(readyEvent(target), () => {
      resolve({ status: "passing", output: `${what}: Success` });
      socket.destroy();
    });
    socket.on("error", (error) => fail(reasonOf(error)));
    socket.on("close", () => {
      signal.removeEventListener("abort", stop);
      fail("gave up");
    });
    if (signal.aborted) stop();
  });
}
