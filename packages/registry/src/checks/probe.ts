import type { CheckStatus, ProbeDefinition } from "../definition.js";
import { probeHttp } from "./http-probe.js";
import { probeTcp } from "./tcp-probe.js";

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
  definition: Extract<ProbeDefinition, { kind: "http" | "tcp" }>,
  outputMaxBytes: number,
  signal: AbortSignal,
) => Promise<ProbeResult>;

/** Asks over real sockets. */
export const probeOverNetwork: Probe = (definition, outputMaxBytes, signal) =>
  definition.kind === "http" ? probeHttp(definition, outputMaxBytes, signal) : probeTcp(definition, signal);
