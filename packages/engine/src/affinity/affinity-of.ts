import type { Affinity, DecisionView, EngineRequest, Plan } from "../contract.js";
import { headerValue } from "../route/header-value.js";
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
  const { overrideHeaders } = plan.cluster;
  if (hash === undefined && session === undefined && overrideHeaders === undefined) return undefined;
  const { key, setCookie } = hash?.of(request, clientAddress, view.entropy) ?? NO_KEY;
  const boundTo = session === undefined || request === undefined ? "" : boundEndpoint(session, request);
  const named =
    overrideHeaders === undefined || request === undefined
      ? NOBODY
      : namedEndpoints(overrideHeaders, request);
  return { key, setCookie, boundTo, named };
}

const NOBODY: readonly string[] = [];
/** Further addresses of a request are not looked at. */
const MAX_NAMED = 16;

/** The addresses in the first header that has any: `10.0.0.5:8080,10.0.0.6:8080`. */
function namedEndpoints(headers: readonly string[], request: EngineRequest): readonly string[] {
  for (const header of headers) {
    const value = headerValue(request.headers, header);
    if (value === undefined) continue;
    const named = value.split(",", MAX_NAMED).map((address) => address.trim());
    return named.filter((address) => address !== "");
  }
  return NOBODY;
}

const NO_KEY: Pick<Affinity, "key" | "setCookie"> = { key: undefined, setCookie: "" };
