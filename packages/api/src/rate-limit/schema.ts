import { z } from "zod";
import { durationOf } from "../schema/durations.js";
import { headerName, isToken } from "../schema/headers.js";
import { host } from "../schema/hosts.js";
import { mapOf, matchLabelsSelector } from "../schema/labels.js";
import { presenceMatch, stringMatch } from "../schema/match.js";
import { integer, uint32 } from "../schema/numbers.js";
import { atMostOne, struct, type Rule } from "../schema/struct.js";
import type { RateLimitSpec } from "./type.js";

/** As short as Envoy takes them. */
const interval = durationOf(50, 'a duration of at least 50ms, such as "1s" or "1m"');
const positive = uint32.refine((value) => value >= 1, "must be at least 1");

const match = struct({
  uri: stringMatch.exactOptional(),
  method: stringMatch.exactOptional(),
  headers: mapOf(presenceMatch, isToken, 'a header name such as "x-user"').exactOptional(),
});

const limit = struct(
  {
    match: match.exactOptional(),
    requests: positive,
    interval,
    burst: positive.exactOptional(),
    per: z.enum(["SOURCE", "CLIENT_ADDRESS"]).exactOptional(),
    perHeader: headerName.exactOptional(),
  },
  atMostOne("per", "perHeader"),
);

/** Callers count for services that they name. */
const outboundNeedsHost: Rule = (fields, report) => {
  if (fields["direction"] === "OUTBOUND" && fields["host"] === undefined)
    report(["host"], "is required with direction OUTBOUND: say which service's callers count");
};

/** A caller is nobody's client: it has neither identity nor address for itself. */
const outboundHasNoSource: Rule = (fields, report) => {
  if (fields["direction"] !== "OUTBOUND" || !Array.isArray(fields["limits"])) return;
  fields["limits"].forEach((each: unknown, index) => {
    if (typeof each === "object" && each !== null && "per" in each && each.per === "SOURCE")
      report(
        ["limits", index, "per"],
        "cannot be SOURCE with direction OUTBOUND: there is one caller, itself",
      );
  });
};

/** Every field of a RateLimit. */
export const rateLimitSpec: z.ZodType<RateLimitSpec> = struct(
  {
    host: host.exactOptional(),
    selector: matchLabelsSelector.exactOptional(),
    direction: z.enum(["INBOUND", "OUTBOUND"]).exactOptional(),
    shadow: z.boolean().exactOptional(),
    status: integer(400, 599, "an HTTP error status").exactOptional(),
    grpcStatus: z.enum(["UNAVAILABLE", "RESOURCE_EXHAUSTED"]).exactOptional(),
    tellsLimits: z.boolean().exactOptional(),
    limits: z.array(limit).min(1, "must have at least one limit").max(64, "must have at most 64 limits"),
  },
  outboundNeedsHost,
  outboundHasNoSource,
);
