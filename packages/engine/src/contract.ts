export type * from "./contract/admission.js";
export type * from "./contract/decision.js";
export type * from "./contract/plan.js";
export type * from "./contract/request.js";
export type * from "./contract/translation.js";
export * from "./contract/load.js";

/**
 * The decision functions (`decide.ts`), all pure over their arguments but for the load table's round-robin cursor:
 *
 * - `route(view, chain, request): Routed`: virtual host, route, weighted cluster.
 * - `routeConnection(view, chain): Plan`: weighted cluster of a TCP connection. Of the plan only its cluster, its idle
 *   timeout and the number of its retries (tries to connect beside the first) mean anything.
 * - `admit(view, chain, plan, facts, progress): Admission`: the chain's filters (faults, rate limits, CORS), in their order.
 *   After a delay it is called again with the same progress and goes on behind the step that asked for it; after a need
 *   at the step itself, with `facts.fact`; after a reroute behind the step, with the new plan.
 * - `pick(view, plan, attempt): EndpointPart | PickFailure`: endpoint by health and balancer; circuit-breaker overflow.
 * - `next(view, plan, request, attempt, outcome): number`: milliseconds until the retry, or -1 to give up.
 * - `mayHedge(view, plan, request, attempt): boolean`: whether one more try may run beside those under way.
 * - `internalRedirect(view, chain, plan, request, answer, followed)`: where a service's redirect leads, if it is followed here.
 * - `requestControls(plan, headers): Plan`: the plan as the calling application's own headers change it.
 */
export const GIVE_UP = -1;
