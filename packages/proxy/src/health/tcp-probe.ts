import type { Socket } from "node:net";

import { systemErrorCode, type Disposable } from "@tulle/base";
import type { EndpointPart } from "@tulle/engine";

import type { AcquireFailure } from "../stream/contract.js";
import type { Connector } from "../upstream/connector.js";
import type { Conversation } from "./conversation.js";
import type { ProbeOutcome } from "./probe.js";

/**
 * Connects, sends, and waits until everything expected has come; with nothing to expect the connection is enough. Each
 * probe has a connection of its own. Time is the caller's business.
 */
export function runTcpProbe(
  connector: Connector,
  endpoint: EndpointPart,
  preamble: Buffer | undefined,
  timeoutMs: number,
  conversation: Conversation,
  onDone: (outcome: ProbeOutcome) => void,
): Disposable {
  let open: { readonly socket: Socket; readonly transport: Socket } | undefined;
  let over = false;
  const end = (outcome: ProbeOutcome | undefined): void => {
    if (over) return;
    over = true;
    open?.socket.destroy();
    open?.transport.destroy();
    if (outcome !== undefined) onDone(outcome);
  };
  const connecting = connector.connectBytes(endpoint, preamble, timeoutMs, {
    onConnected: (socket, transport) => {
      open = { socket, transport };
      converse(socket, conversation, end);
    },
    onConnectFailed: (failure: AcquireFailure, detail) => {
      const timedOut = failure === "connect-timeout";
      end({ kind: "unreachable", reason: timedOut ? "the connection took too long" : detail, timedOut });
    },
  });
  return {
    [Symbol.dispose]: () => {
      connecting[Symbol.dispose]();
      end(undefined);
    },
  };
}

function converse(socket: Socket, conversation: Conversation, end: (outcome: ProbeOutcome) => void): void {
  const { send, expectsAnswer } = conversation;
  const passed = (): void => end({ kind: "passed", degraded: false });
  socket.on("error", (error) =>
    end({ kind: "unreachable", reason: systemErrorCode(error) ?? error.message }),
  );
  if (!expectsAnswer && send.length === 0) {
    passed();
    return;
  }
  socket.on("data", (chunk: Buffer) => {
    const outcome = expectsAnswer ? conversation.onBytes(chunk) : undefined;
    if (outcome !== undefined) end(outcome);
  });
  socket.on("end", () =>
    end({ kind: "unreachable", reason: "it closed the connection before it said what is expected" }),
  );
  if (send.length === 0) return;
  socket.write(send, (error) => {
    if (error === null || error === undefined) {
      if (!expectsAnswer) passed();
    } else end({ kind: "unreachable", reason: systemErrorCode(error) ?? error.message });
  });
}
