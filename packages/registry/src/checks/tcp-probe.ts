import { connect } from "node:net";

import { formatAddress } from "@tulle/base";

import type { ProbeDefinition } from "../definition.js";
import type { ProbeResult } from "./probe.js";
import { refuseBadAddresses, refuseBadLiteral } from "./refuse-target.js";

/** Passes when a connection can be made; nothing is sent. */
export function probeTcp(
  { host, port }: Extract<ProbeDefinition, { kind: "tcp" }>,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const what = `TCP connect ${formatAddress(host, port)}`;
  return new Promise((resolve) => {
    try {
      refuseBadLiteral(host);
    } catch (thrown) {
      resolve({ status: "critical", output: `${what}: ${(thrown as Error).message}` });
      return;
    }
    const socket = connect({ host, port });
    refuseBadAddresses(socket);
    const stop = (): void => {
      socket.destroy();
    };
    signal.addEventListener("abort", stop, { once: true });
    socket.on("connect", () => {
      resolve({ status: "passing", output: `${what}: Success` });
      socket.destroy();
    });
    socket.on("error", (error) => {
      const reason = error instanceof AggregateError ? error.errors.map(String).join("; ") : error.message;
      resolve({ status: "critical", output: `${what}: ${reason}` });
    });
    socket.on("close", () => {
      signal.removeEventListener("abort", stop);
      resolve({ status: "critical", output: `${what}: gave up` });
    });
    if (signal.aborted) stop();
  });
}
