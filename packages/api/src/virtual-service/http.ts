import { z } from "zod";
import { base64Size, isBase64 } from "../schema/base64.js";
import { headerManipulation, headerName, isConditionName, isToken } from "../schema/headers.js";
import { durationOf } from "../schema/durations.js";
import { labels, mapOf } from "../schema/labels.js";
import { presenceMatch, regex, stringMatch } from "../schema/match.js";
import { isDnsSubdomain, namespaceName } from "../schema/namespaces.js";
import { percent, port, statusCode, weight } from "../schema/numbers.js";
import { label, nonEmpty, stringThat, text } from "../schema/strings.js";
import { atLeastOne, atMostOne, exactlyOne, excludes, struct } from "../schema/struct.js";
import { parseDuration } from "@tulle/base";
import { destination, hasDestinations, weightsSum } from "./destination.js";
import { fault } from "./fault.js";
import { retries } from "./retries.js";
import type { HttpDirectResponse } from "./type.js";

const isParameter = (name: string) => name.length > 0 && name.length <= 256;
const headerMatches = mapOf(
  presenceMatch,
  isConditionName,
  'a header name such as "x-user", "@request.cookies." and the name of a cookie, or "@request.auth.claims." and a claim',
);

const match = struct({
  name: label.exactOptional(),
  uri: stringMatch.exactOptional(),
  scheme: stringMatch.exactOptional(),
  method: stringMatch.exactOptional(),
  authority: stringMatch.exactOptional(),
  headers: headerMatches.exactOptional(),
  withoutHeaders: headerMatches.exactOptional(),
  queryParams: mapOf(presenceMatch, isParameter, "the name of a query parameter").exactOptional(),
  port: port.exactOptional(),
  sourceLabels: labels.exactOptional(),
  sourceNamespace: namespaceName.exactOptional(),
  gateways: z.array(nonEmpty).exactOptional(),
  ignoreUriCase: z.boolean().exactOptional(),
  statPrefix: label.exactOptional(),
});

const redirect = struct(
  {
    uri: nonEmpty.exactOptional(),
    prefixRewrite: nonEmpty.exactOptional(),
    authority: nonEmpty.exactOptional(),
    scheme: nonEmpty.exactOptional(),
    port: port.exactOptional(),
    derivePort: z.enum(["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]).exactOptional(),
    redirectCode: z.literal([301, 302, 303, 307, 308]).exactOptional(),
  },
  atLeastOne("uri", "prefixRewrite", "authority", "scheme", "port", "derivePort", "redirectCode"),
  atMostOne("port", "derivePort"),
  atMostOne("uri", "prefixRewrite"),
);

type Body = NonNullable<HttpDirectResponse["body"]>;
const MAX_BODY = 1_048_576;

const directResponse = struct({
  status: statusCode,
  body: struct(
    {
      string: stringThat((value) => value.length <= MAX_BODY, "at most 1 MiB").exactOptional(),
      bytes: stringThat(
        (value) => isBase64(value) && base64Size(value) <= MAX_BODY,
        "base64 of at most 1 MiB",
      ).exactOptional(),
    },
    exactlyOne("string", "bytes"),
  ).exactOptional() as unknown as z.ZodExactOptional<z.ZodType<Body>>,
});

const rewrite = struct(
  {
    uri: nonEmpty.exactOptional(),
    authority: nonEmpty.exactOptional(),
    uriRegexRewrite: struct({ match: regex, rewrite: text }).exactOptional(),
  },
  atLeastOne("uri", "authority", "uriRegexRewrite"),
  atMostOne("uri", "uriRegexRewrite"),
);

const percentage = struct({ value: percent });

const corsPolicy = struct({
  allowOrigins: z.array(stringMatch).exactOptional(),
  allowMethods: z
    .array(stringThat((value) => value === "*" || isToken(value), "an HTTP method or *"))
    .exactOptional(),
  allowHeaders: z.array(headerName).exactOptional(),
  exposeHeaders: z.array(headerName).exactOptional(),
  maxAge: stringThat((value) => {
    const ms = parseDuration(value);
    return ms !== undefined && ms % 1000 === 0;
  }, 'a duration of whole seconds, such as "24h"').exactOptional(),
  allowCredentials: z.boolean().exactOptional(),
  unmatchedPreflights: z.enum(["UNSPECIFIED", "FORWARD", "IGNORE"]).exactOptional(),
});

const delegate = struct({
  name: stringThat(isDnsSubdomain, "the name of a VirtualService"),
  namespace: namespaceName.exactOptional(),
});

export const httpRoute = struct(
  {
    name: label.exactOptional(),
    match: z.array(match).exactOptional(),
    route: z
      .array(
        struct({ destination, weight: weight.exactOptional(), headers: headerManipulation.exactOptional() }),
      )
      .exactOptional(),
    redirect: redirect.exactOptional(),
    directResponse: directResponse.exactOptional(),
    delegate: delegate.exactOptional(),
    rewrite: rewrite.exactOptional(),
    timeout: durationOf(0, 'a duration such as "5s"; "0s" means none').exactOptional(),
    retries: retries.exactOptional(),
    fault: fault.exactOptional(),
    mirror: destination.exactOptional(),
    mirrorPercentage: percentage.exactOptional(),
    mirrors: z.array(struct({ destination, percentage: percentage.exactOptional() })).exactOptional(),
    corsPolicy: corsPolicy.exactOptional(),
    headers: headerManipulation.exactOptional(),
  },
  exactlyOne("route", "redirect", "directResponse", "delegate"),
  hasDestinations,
  weightsSum,
  excludes("redirect", "fault", "rewrite", "mirror", "mirrors", "retries"),
  excludes("directResponse", "fault", "rewrite", "mirror", "mirrors", "retries"),
  atMostOne("mirror", "mirrors"),
);
