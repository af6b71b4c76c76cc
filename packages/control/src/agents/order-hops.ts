import type { ExplainedRecord, RequestHop } from "@tulle/api";

import type { ConnectedAgent } from "./contract.js";

/** What a proxy told of one exchange. */
export interface ToldRecord extends ExplainedRecord {
  readonly agent: ConnectedAgent;
}

/**
 * Records of one request as the hops that it made: a caller's exchange, what its tries came to at the other proxies, and
 * what those called in their turn. An inbound exchange belongs to the outbound one that has a try at that proxy's address
 * and its identity; an outbound one to the inbound one of the same proxy. Clocks of several machines need not agree: times
 * put only those in order that belong to the same hop.
 */
export function orderHops(told: readonly ToldRecord[]): readonly RequestHop[] {
  const byTime = [...told].sort((left, right) => left.record.time - right.record.time);
  const hops: RequestHop[] = [];
  const left = new Set(byTime);
  const visit = (each: ToldRecord, depth: number): void => {
    if (!left.delete(each)) return;
    hops.push(hopOf(each, depth));
    for (const other of byTime) if (left.has(other) && leadsTo(each, other)) visit(other, depth + 1);
  };
  for (const each of byTime)
    if (!byTime.some((other) => other !== each && leadsTo(other, each))) visit(each, 0);
  // What leads to each other in a circle (a service that calls itself) has no beginning: the earliest is it.
  for (const each of byTime) visit(each, 0);
  return hops;
}

function leadsTo(from: ToldRecord, to: ToldRecord): boolean {
  if (from.record.direction === to.record.direction) return false;
  if (from.record.direction === "inbound") return from.agent.id === to.agent.id;
  const { inboundAddress } = to.agent;
  const called = from.record.tries.some(
    ({ endpoint }) => endpoint === inboundAddress || endpoint === to.record.local,
  );
  return called && (to.record.principal === "" || to.record.principal === from.agent.identity);
}

function hopOf({ agent, ...record }: ToldRecord, depth: number): RequestHop {
  const { id, service, namespace, identity, version } = agent;
  return { depth, proxy: { id, service, namespace, identity, version }, ...record };
}
