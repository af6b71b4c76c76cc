import { z } from "zod";
import { textColumn } from "../column.js";
import { duration } from "../schema/durations.js";
import { isToken, requestHeaders, responseHeaders } from "../schema/headers.js";
import { statusCode, uint32 } from "../schema/numbers.js";
import { stringThat } from "../schema/strings.js";
import { atMostOne, exactlyOne, struct, structsOf, isFields, type Rule } from "../schema/struct.js";
import { RETRY_CONDITIONS } from "../virtual-service/retries.js";
import { absolutePath, consulKind, meta, operand, target } from "./parts.js";
import type { ServiceRouterSpec } from "./type.js";

const MAX_ROUTES = 1000;
const method = stringThat(isToken, 'a method such as "GET"');
const name = stringThat(isToken, "a name without spaces");

const header = struct(
  {
    name,
    present: z.literal(true).exactOptional(),
    exact: operand.exactOptional(),
    prefix: operand.exactOptional(),
    suffix: operand.exactOptional(),
    contains: operand.exactOptional(),
    regex: operand.exactOptional(),
    ignoreCase: z.boolean().exactOptional(),
    invert: z.boolean().exactOptional(),
  },
  exactlyOne("present", "exact", "prefix", "suffix", "contains", "regex"),
);

const queryParam = struct(
  {
    name: operand,
    present: z.literal(true).exactOptional(),
    exact: operand.exactOptional(),
    regex: operand.exactOptional(),
  },
  exactlyOne("present", "exact", "regex"),
);

/** Conditions of one name are one condition of a route: two comparisons of the same kind cannot stand together. */
const namedOnce: Rule = (fields, report) => {
  for (const field of ["header", "queryParam"]) {
    const seen = new Set<string>();
    for (const [index, condition] of structsOf(fields[field])) {
      const text = String(condition["name"]);
      const key = field === "header" ? `${text.toLowerCase()} ${String(condition["invert"] === true)}` : text;
      if (seen.has(key))
        report([field, index, "name"], `repeats a condition on ${text}: write one expression`);
      seen.add(key);
    }
  }
};

const http = struct(
  {
    pathExact: absolutePath.exactOptional(),
    pathPrefix: absolutePath.exactOptional(),
    pathRegex: operand.exactOptional(),
    caseInsensitive: z.boolean().exactOptional(),
    methods: z.array(method).max(64, "must have at most 64 items").exactOptional(),
    header: z.array(header).max(64, "must have at most 64 items").exactOptional(),
    queryParam: z.array(queryParam).max(64, "must have at most 64 items").exactOptional(),
  },
  atMostOne("pathExact", "pathPrefix", "pathRegex"),
  namedOnce,
);

const condition = stringThat((value) => RETRY_CONDITIONS.has(value), 'a condition such as "5xx"');

const destination = struct({
  ...target,
  prefixRewrite: absolutePath.exactOptional(),
  requestTimeout: duration.exactOptional(),
  idleTimeout: duration.exactOptional(),
  numRetries: uint32.exactOptional(),
  retryOnConnectFailure: z.boolean().exactOptional(),
  retryOn: z.array(condition).max(32, "must have at most 32 items").exactOptional(),
  retryOnStatusCodes: z.array(statusCode).max(64, "must have at most 64 items").exactOptional(),
  requestHeaders: requestHeaders.exactOptional(),
  responseHeaders: responseHeaders.exactOptional(),
});

/** There must be something to rewrite. */
const rewritesAPath: Rule = ({ match, destination: to }, report) => {
  if (!isFields(to) || to["prefixRewrite"] === undefined) return;
  const path = isFields(match) && isFields(match["http"]) ? match["http"] : {};
  if (path["pathExact"] === undefined && path["pathPrefix"] === undefined)
    report(["destination", "prefixRewrite"], "needs a pathExact or pathPrefix in the route's match");
};

const route = struct(
  {
    match: struct({ http: http.exactOptional() }).exactOptional(),
    destination: destination.exactOptional(),
  },
  rewritesAPath,
);

export const serviceRouterKind = consulKind<ServiceRouterSpec>(
  "ServiceRouter",
  {
    schema: struct({
      routes: z.array(route).max(MAX_ROUTES, `must have at most ${MAX_ROUTES} routes`).exactOptional(),
      meta: meta.exactOptional(),
    }),
  },
  [
    textColumn<ServiceRouterSpec>("Routes", "How many there are.", ({ spec }) =>
      String(spec.routes?.length ?? 0),
    ),
  ],
);
