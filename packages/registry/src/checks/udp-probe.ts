import { createSocket } from "node:dgram";
import { lookup } from "node:dns";
import { isIPv6 } from "node:net";

import { formatAddress, systemClock } from "@tulle/base";

import type { ProbeDefinition } from "../definition.js";
import type { ProbeResult } from "./probe.js";
import { reasonOf } from "./probe-socket.js";
import { refuseBadLiteral } from "./refuse-target.js";

/** So long an answer, or the word that nobody is there, is waited for. */
const SILENCE_MS = 500;
const MESSAGE = Buffer.from("ping");

/** Critical when the host says that nobody listens; passes on any answer, and on silence, as with Consul: datagrams are not acknowledged. */
export function probeUdp(
  { host, port }: Extract<ProbeDefinition, { kind: "udp" }>,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const what = `UDP connect ${formatAddress(host, port)}`;
  return new Promise((resolve) => {
    const fail = (thrown: unknown): void =>
      resolve({ status: "critical", output: `${what}: ${reasonOf(thrown)}` });
    lookup(host, (error, address) => {
      if (error !== null || signal.aborted) {
        fail(error ?? new Error("gave up"));
        return;
      }
      try {
        // Sent to the very address that was looked at: a name cannot mean something else the second time.
        refuseBadLiteral(address);
        ask(address, port, signal, fail, () => resolve({ status: "passing", output: `${what}: Success` }));
      } catch (thrown) {
        fail(thrown);
      }
    });
  });
}

function ask(
  address: string,
  port: number,
  signal: AbortSignal,
  fail: (thrown: unknown) => void,
  pass: () => void,
): void {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  let over = false;
  const end = (tell: () => void): void => {
    if (over) return;
    over = true;
    silence[Symbol.dispose]();
    signal.removeEventListener("abort", stop);
    socket.close();
    tell();
  };
  const stop = (): void => end(() => fail(new Error("gave up")));
  const silence = systemClock.setTimeout(() => end(pass), SILENCE_MS, { keepAlive: false });
  signal.addEventListener("abort", stop, { once: true });
  socket.on("error", (error) => end(() => fail(error)));
  socket.on("message", () => end(pass));
  socket.connect(port, address, () => socket.send(MESSAGE));
}
