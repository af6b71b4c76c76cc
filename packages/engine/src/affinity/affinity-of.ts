import type { Affinity, DecisionView, EngineRequest, Plan } from "../contract.js";
import { boundEndpoint } from "./session.js";

/**
 * What binds a request to an endpoint of its plan's cluster: computed once per request, before its first try.
 * `clientAddress`: the client's address without port, "" when it is not known; `request` undefined for a connection of
 * bytes. Undefined when the plan binds nothing.
 */
export function affinityOf(
  view: Pick<DecisionView, "entropy">,
  plan: Plan,
  request: EngineRequest | undefined,
  clientAddress: string,
): Affinity | undefined {
  const { hash, session } = plan;
  if (hash === undefined && session === undefined) return undefined;
  const { key, setCookie } = hash?.of(request, clientAddress, view.entropy) ?? NO_KEY;
  const boundTo = session === undefined || request === undefined ? "" : boundEndpoint(session, request);
  return { key, setCookie, boundTo };
}

const NO_KEY: Pick<Affinity, "key" | "setCookie"> = { key: undefined, setCookie: "" };
