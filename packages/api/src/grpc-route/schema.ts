import { z } from "zod";
import { show } from "../schema/describe.js";
import { struct, unique, type Rule } from "../schema/struct.js";
import { stringThat } from "../schema/strings.js";
import { backendFields, backendRules } from "../gateway-api/backend-refs.js";
import { extensionRef, fieldOfType, onceEach } from "../gateway-api/filters.js";
import { headerModifier } from "../gateway-api/header-modifier.js";
import { atMost, boundedMatches } from "../gateway-api/lists.js";
import { requestMirror } from "../gateway-api/mirror.js";
import { hostname, sectionName } from "../gateway-api/names.js";
import { distinctParents, parentRefs } from "../gateway-api/parent-refs.js";
import { sessionPersistence } from "../gateway-api/session-persistence.js";
import { headerMatch } from "../gateway-api/value-match.js";
import { distinctNames } from "../http-route/rules.js";
import type { GRPCRouteSpec } from "./type.js";

const SERVICE = /^\.?[a-z_][a-z_0-9]*(?:\.[a-z_][a-z_0-9]*)*$/i;
const METHOD = /^[A-Za-z_][A-Za-z_0-9]*$/;

const isGiven = (value: unknown) => value !== undefined && value !== "";

/** A method match says what it is about, in names that Protocol Buffers allow. */
const plainNames: Rule = ({ type = "Exact", service, method }, report) => {
  if (!isGiven(service) && !isGiven(method)) report([], "must have a service, a method or both");
  if (type !== "Exact") return;
  if (typeof service === "string" && service !== "" && !SERVICE.test(service))
    report(["service"], `expected a service such as "shop.Reviews", got ${show(service)}`);
  if (typeof method === "string" && method !== "" && !METHOD.test(method))
    report(["method"], `expected a method such as "GetReview", got ${show(method)}`);
};

const name = stringThat((value) => value.length <= 1024, "at most 1024 characters").exactOptional();

const match = struct(
  {
    method: struct(
      { type: z.enum(["Exact", "RegularExpression"]).exactOptional(), service: name, method: name },
      plainNames,
    ).exactOptional(),
    headers: atMost(16, headerMatch).exactOptional(),
  },
  distinctNames("headers"),
);

const FIELDS = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestMirror: "requestMirror",
  ExtensionRef: "extensionRef",
} as const;

const filter = struct(
  {
    type: z.enum(Object.keys(FIELDS) as (keyof typeof FIELDS)[]),
    requestHeaderModifier: headerModifier.exactOptional(),
    responseHeaderModifier: headerModifier.exactOptional(),
    requestMirror: requestMirror.exactOptional(),
    extensionRef: extensionRef.exactOptional(),
  },
  fieldOfType(FIELDS),
);

const filters = atMost(16, filter).exactOptional();
const filterRule = onceEach("RequestHeaderModifier", "ResponseHeaderModifier");

const rule = struct(
  {
    name: sectionName.exactOptional(),
    matches: atMost(64, match).exactOptional(),
    filters,
    backendRefs: atMost(
      16,
      struct({ ...backendFields, filters }, ...backendRules, filterRule),
    ).exactOptional(),
    sessionPersistence: sessionPersistence.exactOptional(),
  },
  filterRule,
);

/** Gateway API's GRPCRoute, every field of its standard and experimental channels. */
export const grpcRouteSpec: z.ZodType<GRPCRouteSpec> = struct(
  {
    parentRefs,
    hostnames: atMost(16, hostname).exactOptional(),
    rules: atMost(16, rule).exactOptional(),
  },
  distinctParents,
  boundedMatches,
  unique("rules", "name"),
);
