import { MeshError } from "@tulle/base";

import type { AgentQuery, ConnectedAgent } from "./contract.js";

/** A proxy has this long to answer, milliseconds. */
export const ANSWER_MS = 5000;
/** Proxies that are asked at the same time, for one question that goes to many. */
const PARALLEL = 64;

/** Names of queries in a hello, where they are others than their own. */
const NAMES: Partial<Record<AgentQuery["case"], string>> = { logLevel: "log_level" };

/** Whether a proxy has said that it answers such queries. */
export function canAnswer(agent: ConnectedAgent, query: AgentQuery["case"]): boolean {
  return agent.queries.has(NAMES[query] ?? query);
}

/** Asks what the proxy has said it can answer. */
export function askKnown(agent: ConnectedAgent, query: AgentQuery): Promise<unknown> {
  if (canAnswer(agent, query.case)) return agent.ask(query, ANSWER_MS);
  const message = `the proxy ${agent.id} (version ${agent.version || "unknown"}) cannot answer this; update it`;
  return Promise.reject(new MeshError("unimplemented", "CONTROL_AGENT_TOO_OLD", message));
}

/** Some at a time, so that a question to all of a large mesh is no flood. */
export async function someAtATime<T>(items: readonly T[], ask: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async (): Promise<void> => {
    for (const item of rest) await ask(item);
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, lane));
}

/** By its id, or by the part of it that people are shown: `reviews-1.default`. */
export function isNamed(name: string, id: string): boolean {
  return name === id || name === id.split("~")[2];
}

/** Reads an object of what a proxy told, which may be anything. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
