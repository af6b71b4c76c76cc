import type {
  ConnectionFacts,
  EngineRequest,
  Facts,
  FoundMetadata,
  Judgement,
  RequestMetadata,
} from "../contract.js";
import type { Fact } from "../facts/contract.js";
import type { ExtAuthzNeed } from "../facts/ext-authz.js";
import { mergeMetadata } from "../admit/merge-metadata.js";
import type { TcpChain } from "../snapshot/contract.js";
import { BytesChain } from "../snapshot/tcp-settings.js";
import type { Trace } from "../trace.js";

/** A network filter that lets connections through, or does not. */
export interface ConnectionGuard {
  /** Clusters of services that it must ask: its chain is not warm before they are known. */
  readonly clusters: readonly string[];
  /** Pure. One that answers with a need is asked again with `facts.fact`, and then decides. */
  admit(facts: Facts, trace: Trace | undefined): GuardAnswer;
}

/** What a guard says to a connection. Without refusal and need it goes on. */
export interface GuardAnswer {
  readonly refusal?: ConnectionRefusal | undefined;
  readonly need?: ExtAuthzNeed | undefined;
  /** What the guards behind may go by. */
  readonly metadata?: FoundMetadata | undefined;
  readonly judged?: readonly Judgement[] | undefined;
}

/** Why a connection is not let through. */
export interface ConnectionRefusal {
  /** One of Envoy's response flags; "" = it has none for this. */
  readonly flag: string;
  /** Envoy's details, in a log's field: without spaces. */
  readonly details: string;
}

/** How far the guards of a chain have come with a connection. */
export class ConnectionProgress {
  /** What the guard that asked wanted to know. */
  fact: Fact | undefined;
  /** @internal */
  next = 0;
  /** @internal */
  metadata: RequestMetadata | undefined;
}

/** What filters make of a connection, since they were asked last. */
export interface ConnectionJudgement {
  /** Undefined: it is not refused. */
  readonly refusal: ConnectionRefusal | undefined;
  /** Who must be asked: with the answer in `progress.fact` the filters go on. */
  readonly need: ExtAuthzNeed | undefined;
  readonly judged: readonly Judgement[];
}

/** Connections have none: what rules ask of one is not there. */
const NO_REQUEST: EngineRequest = { method: "", path: "", authority: "", scheme: "http", headers: [] };

/** What the filters of a chain say to a connection; undefined = there are none. */
export function admitConnection(
  chain: TcpChain,
  connection: ConnectionFacts,
  who: Pick<Facts, "principal" | "remoteAddress">,
  progress = new ConnectionProgress(),
  trace?: Trace,
): ConnectionJudgement | undefined {
  if (!(chain instanceof BytesChain) || chain.guards.length === 0) return undefined;
  const judged: Judgement[] = [];
  for (; progress.next < chain.guards.length; progress.next++) {
    const { fact, metadata } = progress;
    progress.fact = undefined;
    const facts: Facts = { ...who, request: { ...NO_REQUEST, metadata }, connection, fact };
    const {
      refusal,
      need,
      metadata: found,
      judged: more = [],
    } = chain.guards[progress.next]!.admit(facts, trace);
    judged.push(...more);
    progress.metadata = mergeMetadata(metadata, found);
    if (refusal !== undefined || need !== undefined) return { refusal, need, judged };
  }
  return { refusal: undefined, need: undefined, judged };
}
