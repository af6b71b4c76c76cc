import { z } from "zod";
import { int32, integer } from "../schema/numbers.js";
import { struct, unique } from "../schema/struct.js";
import { backendFields, backendRules } from "../gateway-api/backend-refs.js";
import { atMost, boundedMatches, oneTo } from "../gateway-api/lists.js";
import { gatewayDuration, hostname, sectionName } from "../gateway-api/names.js";
import { distinctParents, parentRefs } from "../gateway-api/parent-refs.js";
import { sessionPersistence } from "../gateway-api/session-persistence.js";
import { filterRules, httpRouteFilter } from "./filter.js";
import { httpRouteMatch } from "./match.js";
import { prefixToReplace, redirectGoesNowhere, tryWithinRequest } from "./rules.js";
import type { HTTPRouteSpec } from "./type.js";

const filters = atMost(16, httpRouteFilter).exactOptional();

const rule = struct(
  {
    name: sectionName.exactOptional(),
    matches: atMost(64, httpRouteMatch).exactOptional(),
    filters,
    backendRefs: atMost(
      16,
      struct({ ...backendFields, filters }, ...backendRules, ...filterRules),
    ).exactOptional(),
    timeouts: struct(
      { request: gatewayDuration.exactOptional(), backendRequest: gatewayDuration.exactOptional() },
      tryWithinRequest,
    ).exactOptional(),
    retry: struct({
      codes: z.array(integer(400, 599, "a status code")).exactOptional(),
      attempts: int32.exactOptional(),
      backoff: gatewayDuration.exactOptional(),
    }).exactOptional(),
    sessionPersistence: sessionPersistence.exactOptional(),
  },
  ...filterRules,
  redirectGoesNowhere,
  prefixToReplace,
);

/** Gateway API's HTTPRoute: every field of its standard and experimental channels but external authorization. */
export const httpRouteSpec: z.ZodType<HTTPRouteSpec> = struct(
  {
    parentRefs,
    hostnames: atMost(16, hostname).exactOptional(),
    rules: oneTo(16, rule).exactOptional(),
  },
  distinctParents,
  boundedMatches,
  unique("rules", "name"),
);
