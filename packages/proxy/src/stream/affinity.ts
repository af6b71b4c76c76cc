import { affinityOf, bindingField, type DecisionView, type Plan } from "@tulle/engine";
import type { HeaderList } from "@tulle/http";

import type { ExchangeRecord } from "./exchange-record.js";

/** Whether requests of a plan may be bound to endpoints. */
export function isBound({ hash, session, cluster }: Plan): boolean {
  return hash !== undefined || session !== undefined || cluster.overrideHeaders !== undefined;
}

/** Finds what binds a request to an endpoint, for its tries. Call where the plan `isBound`. */
export function bindRequest(record: ExchangeRecord, view: DecisionView, plan: Plan): void {
  const { forwardedFor, remoteAddress } = record.source;
  const client = record.edge?.clientAddress ?? clientAddress(forwardedFor, remoteAddress);
  record.attempt.affinity = affinityOf(view, plan, record.request, client);
}

/** Adds to a server's response what the client must bring to come back to the same endpoint. */
export function tellBinding(headers: HeaderList, record: ExchangeRecord): void {
  const { plan, endpoint, request } = record;
  const { affinity } = record.attempt;
  if (affinity === undefined || plan === undefined || endpoint === undefined) return;
  if (affinity.setCookie !== "") headers.push("set-cookie", affinity.setCookie);
  if (plan.session === undefined) return;
  const binding = bindingField(plan.session, request, affinity.boundTo, endpoint.key);
  if (binding !== undefined) headers.push(binding[0], binding[1]);
}

/** The address that a PROXY header names, else the connection's; without port. */
export function clientAddress(forwardedFor: string, remoteAddress: string): string {
  if (forwardedFor !== "") return forwardedFor;
  const host = remoteAddress.slice(0, Math.max(0, remoteAddress.lastIndexOf(":")));
  return host.startsWith("[") ? host.slice(1, -1) : host;
}
