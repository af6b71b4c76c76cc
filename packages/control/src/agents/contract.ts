import type { ProxyName } from "@tulle/api";
import type { Query } from "@tulle/xds/gen/tulle/v1/agent_pb.js";

/** What a proxy can be asked. */
export type AgentQuery = Exclude<Query["query"], { readonly case: undefined }>;

/** A proxy whose agent stream is open. */
export interface ConnectedAgent extends ProxyName {
  /** `host:port` that other proxies reach it at; "" when it does not say. */
  readonly inboundAddress: string;
  /** Names of the queries that it answers. */
  readonly queries: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /**
   * The answer, as JSON has it; hostile. Rejects with the proxy's own refusal, `timeout` CONTROL_AGENT_TIMEOUT, `unavailable`
   * CONTROL_AGENT_GONE, or `exhausted` CONTROL_AGENT_BUSY when too much is asked of it already.
   */
  ask(query: AgentQuery, timeoutMs: number): Promise<unknown>;
}
