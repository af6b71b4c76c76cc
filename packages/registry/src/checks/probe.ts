import type { AskingProbe, CheckStatus } from "../definition.js";
import { probeHttp2 } from "./http2-probe.js";
import { probeHttp } from "./http-probe.js";
import { probeTcp } from "./tcp-probe.js";
import { probeUdp } from "./udp-probe.js";

export interface ProbeResult {
  readonly status: CheckStatus;
  /** For people: what was asked and what came back. */
  readonly output: string;
}

/**
 * Asks once. Never rejects; ends soon after `signal` aborts. Output is at most `outputMaxBytes` of the answer and a
 * line before it.
 *
 * By design a registration may name any address that this process can reach: whoever may register may also make it
 * connect there, but for the link and what is no host (`refuse-target.ts`). The facades that take registrations are the
 * place to decide who may.
 */
export type Probe = (
  definition: AskingProbe,
  outputMaxBytes: number,
  signal: AbortSignal,
) => Promise<ProbeResult>;

/** Asks over real sockets. */
export const probeOverNetwork: Probe = (definition, outputMaxBytes, signal) => {
  switch (definition.kind) {
    case "http":
      return probeHttp(definition, outputMaxBytes, signal);
    case "tcp":
      return probeTcp(definition, signal);
    case "grpc":
    case "h2ping":
      return probeHttp2(definition, signal);
    case "udp":
      return probeUdp(definition, signal);
  }
};
