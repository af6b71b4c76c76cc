import { z } from "zod";
import { struct, type Rule } from "../schema/struct.js";
import { show } from "../schema/describe.js";
import { stringThat } from "../schema/strings.js";
import { atMost } from "../gateway-api/lists.js";
import { headerMatch, queryParamMatch } from "../gateway-api/value-match.js";
import { distinctNames } from "./rules.js";

const PATH_CHARACTERS = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/;
/** What no normal path holds, so that such a condition would never be met. */
const NEVER_SENT = ["//", "/./", "/../", "%2f", "%2F", "#"];
const NEVER_AT_THE_END = ["/..", "/."];

/** A path that is compared as it stands is one that a client can send. */
export const plainPath: Rule = ({ type = "PathPrefix", value = "/" }, report) => {
  if (type === "RegularExpression" || typeof value !== "string") return;
  if (!value.startsWith("/")) {
    report(["value"], `must begin with "/", got ${show(value)}`);
    return;
  }
  for (const part of NEVER_SENT) if (value.includes(part)) report(["value"], `must not hold "${part}"`);
  for (const end of NEVER_AT_THE_END)
    if (value.endsWith(end)) report(["value"], `must not end with "${end}"`);
  if (!PATH_CHARACTERS.test(value) && !value.includes("#")) {
    report(["value"], `expected letters, digits, -/._~!$&'()*+,;=:@ and %XX, got ${show(value)}`);
  }
};

export const pathText = stringThat((value) => value.length <= 1024, "a path of at most 1024 characters");

const path = struct(
  {
    type: z.enum(["Exact", "PathPrefix", "RegularExpression"]).exactOptional(),
    value: pathText.exactOptional(),
  },
  plainPath,
);

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

export const httpMethod = z.enum(METHODS);
export const httpMethodOrAll = z.enum([...METHODS, "*"]);

export const httpRouteMatch = struct(
  {
    path: path.exactOptional(),
    headers: atMost(16, headerMatch).exactOptional(),
    queryParams: atMost(16, queryParamMatch).exactOptional(),
    method: httpMethod.exactOptional(),
  },
  distinctNames("headers"),
  distinctNames("queryParams"),
);
