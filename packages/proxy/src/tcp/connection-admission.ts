import {
  admitConnection,
  ConnectionProgress,
  type ConnectionFacts,
  type ConnectionRefusal,
  type ExtAuthzNeed,
  type Fact,
  type TcpChain,
} from "@tulle/engine";

import { isPending, type ConnectionAsker, type PendingFact } from "../facts/contract.js";
import type { AuthorizationMetrics } from "../telemetry/authorization-metrics.js";

/** Asks an authorization service about a connection. */
export type ConnectionAuthorizer = (
  need: ExtAuthzNeed,
  asker: ConnectionAsker,
  onFact: (fact: Fact) => void,
) => Fact | PendingFact;

/** The connection that is judged. */
export interface JudgedConnection extends ConnectionAsker {
  readonly connection: ConnectionFacts;
}

/** What policies say to a connection; `asking`: somebody is asked, and the listener is told. */
export type ConnectionVerdict = "passes" | "asking" | ConnectionRefusal;

/** Judges one connection that carries bytes, as often as policies change, and asks for that whom they name. */
export class ConnectionAdmission {
  readonly #judged: JudgedConnection;
  readonly #ask: ConnectionAuthorizer;
  readonly #metrics: AuthorizationMetrics;
  readonly #onVerdict: (verdict: "passes" | ConnectionRefusal) => void;
  /** What services have said in its favour: they are not asked again. */
  readonly #consents = new Map<string, Fact>();
  #pending: PendingFact | undefined;

  /** `onVerdict` is told what comes after `asking`, unless that is cancelled. */
  constructor(
    judged: JudgedConnection,
    ask: ConnectionAuthorizer,
    metrics: AuthorizationMetrics,
    onVerdict: (verdict: "passes" | ConnectionRefusal) => void,
  ) {
    this.#judged = judged;
    this.#ask = ask;
    this.#metrics = metrics;
    this.#onVerdict = onVerdict;
  }

  /** Judges by `chain`. `looksOnly`: nothing is counted and nobody is asked. */
  judge(chain: TcpChain, looksOnly: boolean): ConnectionVerdict {
    this.cancel();
    return this.#goOn(chain, new ConnectionProgress(), looksOnly);
  }

  /** Nobody waits for the verdict any more. */
  cancel(): void {
    this.#pending?.cancel();
    this.#pending = undefined;
  }

  #goOn(chain: TcpChain, progress: ConnectionProgress, looksOnly: boolean): ConnectionVerdict {
    const { connection, source } = this.#judged;
    const { peerSpiffeId, remoteAddress } = source;
    const who = { principal: peerSpiffeId === "" ? undefined : peerSpiffeId, remoteAddress };
    for (;;) {
      const judgement = admitConnection(chain, connection, who, progress);
      if (judgement === undefined) return "passes";
      if (!looksOnly) this.#metrics.count(judgement.judged);
      const { refusal, need } = judgement;
      if (need === undefined) return refusal ?? "passes";
      if (looksOnly) return "passes";
      const answer =
        this.#consents.get(need.asks) ??
        this.#ask(need, this.#judged, (fact) => this.#onFact(chain, progress, need, fact));
      if (isPending(answer)) {
        this.#pending = answer;
        return "asking";
      }
      progress.fact = answer;
    }
  }

  #onFact(chain: TcpChain, progress: ConnectionProgress, need: ExtAuthzNeed, fact: Fact): void {
    this.#pending = undefined;
    if (fact.kind === "ext-authz" && fact.allowed) this.#consents.set(need.asks, fact);
    progress.fact = fact;
    const verdict = this.#goOn(chain, progress, false);
    if (verdict !== "asking") this.#onVerdict(verdict);
  }
}
