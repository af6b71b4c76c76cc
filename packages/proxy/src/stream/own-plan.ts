import { requestControls, type Plan } from "@tulle/engine";

import type { ExchangeRecord } from "./exchange-record.js";

/**
 * The plan of a request that tells how to carry it (`x-envoy-retry-on` and the like). Only the local application is
 * believed: a sidecar sends none of these fields, so that on the inbound side they come from somebody who has none.
 */
export function ownPlan({ source, request }: ExchangeRecord, plan: Plan): Plan {
  return source.direction === "outbound" && source.ownCaller ? requestControls(plan, request.headers) : plan;
}
