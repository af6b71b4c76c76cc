import { OrderedMatch, redisCommand, RedisReply, type RedisProbe, type TcpProbe } from "@tulle/engine";

import type { ProbeOutcome } from "./probe.js";

/** What is said on a connection that carries bytes to find out whether its endpoint is well. */
export interface Conversation {
  /** Empty: nothing is sent. */
  readonly send: Uint8Array;
  /** Without an answer to expect, the connection and what is sent are enough. */
  readonly expectsAnswer: boolean;
  /** Further bytes of the answer, borrowed. Undefined while more are needed. */
  onBytes(bytes: Uint8Array): ProbeOutcome | undefined;
}

const PASSED: ProbeOutcome = { kind: "passed", degraded: false };

/** A conversation as a check says it. */
export function conversationOf(probe: TcpProbe | RedisProbe): Conversation {
  if (probe.kind === "redis") {
    const reply = new RedisReply(probe.key);
    return {
      send: redisCommand(probe.key),
      expectsAnswer: true,
      onBytes: (bytes) => {
        const reason = reply.push(bytes);
        if (reason === undefined) return undefined;
        return reason === "" ? PASSED : { kind: "failed", reason, atOnce: false };
      },
    };
  }
  const match = new OrderedMatch(probe.receive);
  return {
    send: probe.send,
    expectsAnswer: probe.receive.length > 0,
    onBytes: (bytes) => {
      match.push(bytes);
      return match.complete ? PASSED : undefined;
    },
  };
}
