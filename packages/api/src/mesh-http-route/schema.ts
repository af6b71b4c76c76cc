import { z } from "zod";
import { fieldOfType } from "../gateway-api/filters.js";
import { headerModifier } from "../gateway-api/header-modifier.js";
import { atMost, oneTo } from "../gateway-api/lists.js";
import { headerValue, hostname, httpName, preciseHostname } from "../gateway-api/names.js";
import { queryParamMatch } from "../gateway-api/value-match.js";
import { filterRules, pathModifier, requestRedirect } from "../http-route/filter.js";
import { httpMethod, pathText, plainPath } from "../http-route/match.js";
import { distinctNames, redirectGoesNowhere, replacedPrefixes } from "../http-route/rules.js";
import { percentage } from "../kuma/percentage.js";
import { backendRef, mirrorBackendRef, routedDestination, topTargetRef } from "../kuma/target-ref.js";
import { excludes, isFields, struct, structsOf, type Rule } from "../schema/struct.js";
import type { MeshHTTPRouteSpec } from "./type.js";

const path = struct(
  { type: z.enum(["Exact", "PathPrefix", "RegularExpression"]), value: pathText },
  plainPath,
);

/** What a header is compared with. */
const comparedValue: Rule = ({ type = "Exact", value }, report) => {
  if (type === "Present" || type === "Absent") {
    if (value !== undefined) report(["value"], `cannot be given with type ${type}`);
  } else if (value === undefined) report(["value"], "is required");
};

const headerMatch = struct(
  {
    type: z.enum(["Exact", "Present", "RegularExpression", "Absent", "Prefix"]).exactOptional(),
    name: httpName,
    value: headerValue.exactOptional(),
  },
  comparedValue,
);

const match = struct(
  {
    path: path.exactOptional(),
    method: httpMethod.exactOptional(),
    queryParams: atMost(16, queryParamMatch).exactOptional(),
    headers: atMost(16, headerMatch).exactOptional(),
  },
  distinctNames("headers"),
  distinctNames("queryParams"),
);

const urlRewrite = struct(
  {
    hostname: preciseHostname.exactOptional(),
    path: pathModifier.exactOptional(),
    hostToBackendHostname: z.boolean().exactOptional(),
  },
  excludes("hostToBackendHostname", "hostname"),
);

/** The types of filters, each with the field that it needs. */
const FIELDS = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  RequestMirror: "requestMirror",
} as const;

const filter = struct(
  {
    type: z.enum(Object.keys(FIELDS) as (keyof typeof FIELDS)[]),
    requestHeaderModifier: headerModifier.exactOptional(),
    responseHeaderModifier: headerModifier.exactOptional(),
    requestRedirect: requestRedirect.exactOptional(),
    urlRewrite: urlRewrite.exactOptional(),
    requestMirror: struct({
      percentage: percentage.exactOptional(),
      backendRef: mirrorBackendRef,
    }).exactOptional(),
  },
  fieldOfType(FIELDS),
);

/** A prefix can be replaced where there is one, whichever match holds. */
const prefixesToReplace: Rule = (rule, report) => {
  const matchesPrefixes = structsOf(rule["matches"]).every(
    ([, { path: condition }]) => isFields(condition) && condition["type"] === "PathPrefix",
  );
  if (matchesPrefixes || !isFields(rule["default"])) return;
  for (const replaced of replacedPrefixes(rule["default"])) {
    report(["default", ...replaced], "needs a rule all of whose matches are of type PathPrefix");
  }
};

const rule = struct(
  {
    matches: oneTo(64, match),
    default: struct(
      {
        filters: atMost(16, filter).exactOptional(),
        backendRefs: atMost(16, backendRef).exactOptional(),
      },
      ...filterRules,
      redirectGoesNowhere,
    ),
  },
  prefixesToReplace,
);

/** Kuma's MeshHTTPRoute. */
export const meshHttpRouteSpec: z.ZodType<MeshHTTPRouteSpec> = struct({
  targetRef: topTargetRef.exactOptional(),
  to: atMost(
    64,
    struct({
      targetRef: routedDestination,
      hostnames: atMost(16, hostname).exactOptional(),
      rules: atMost(64, rule).exactOptional(),
    }),
  ).exactOptional(),
});
