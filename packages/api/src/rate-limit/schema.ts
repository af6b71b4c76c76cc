import { z } from "zod";
import { isServiceAccount } from "../authorization-policy/values.js";
import { runtimeKey } from "../runtime/schema.js";
import { durationOf, positiveDuration } from "../schema/durations.js";
import { headerName, isToken } from "../schema/headers.js";
import { host, serviceReference } from "../schema/hosts.js";
import { mapOf, matchLabelsSelector } from "../schema/labels.js";
import { presenceMatch, stringMatch } from "../schema/match.js";
import { integer, port, uint32 } from "../schema/numbers.js";
import { stringThat } from "../schema/strings.js";
import { atMostOne, exactlyOne, isFields, struct, structsOf, type Rule } from "../schema/struct.js";
import type { RateLimitSpec } from "./type.js";

/** As short as Envoy takes them. */
const interval = durationOf(50, 'a duration of at least 50ms, such as "1s" or "1m"');
const serviceAccount = stringThat(
  isServiceAccount,
  'a service account such as "reviews" or "default/reviews"',
);
const positive = uint32.refine((value) => value >= 1, "must be at least 1");

const match = struct({
  uri: stringMatch.exactOptional(),
  method: stringMatch.exactOptional(),
  headers: mapOf(presenceMatch, isToken, 'a header name such as "x-user"').exactOptional(),
});

const override = struct({
  serviceAccounts: z
    .array(serviceAccount)
    .min(1, "must have at least one service account")
    .max(64, "must have at most 64 service accounts"),
  requests: positive,
  interval: interval.exactOptional(),
  burst: positive.exactOptional(),
});

/** Others have no count of their own that could be another one. */
const onlyPerSource: Rule = (fields, report) => {
  if (fields["per"] === "SOURCE") return;
  for (const name of ["overrides", "countsUnidentified"])
    if (fields[name] !== undefined) report([name], "needs per: SOURCE");
};

const eachAccountOnce: Rule = (fields, report) => {
  const seen = new Set<unknown>();
  for (const [index, { serviceAccounts }] of structsOf(fields["overrides"])) {
    if (!Array.isArray(serviceAccounts)) continue;
    serviceAccounts.forEach((account: unknown, position) => {
      if (seen.has(account)) report(["overrides", index, "serviceAccounts", position], "is named twice");
      seen.add(account);
    });
  }
};

const limit = struct(
  {
    match: match.exactOptional(),
    requests: positive,
    interval,
    burst: positive.exactOptional(),
    per: z.enum(["SOURCE", "CLIENT_ADDRESS"]).exactOptional(),
    perHeader: headerName.exactOptional(),
    overrides: z
      .array(override)
      .min(1, "must have at least one override")
      .max(64, "must have at most 64 overrides")
      .exactOptional(),
    countsUnidentified: z.boolean().exactOptional(),
  },
  atMostOne("per", "perHeader"),
  onlyPerSource,
  eachAccountOnce,
);

const keyOrValue = stringThat(
  (value) => /^[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?$/.test(value),
  "1 to 256 characters of visible ASCII",
);

const entryNeedsKey: Rule = (fields, report) => {
  if (fields["source"] === undefined && fields["key"] === undefined) report(["key"], "is required");
  if (fields["source"] !== undefined && fields["key"] !== undefined)
    report(["key"], "cannot stand beside source, which has a key of its own");
};

const entry = struct(
  {
    key: keyOrValue.exactOptional(),
    value: keyOrValue.exactOptional(),
    header: headerName.exactOptional(),
    source: z.enum(["IDENTITY", "CLIENT_ADDRESS"]).exactOptional(),
  },
  exactlyOne("value", "header", "source"),
  entryNeedsKey,
);

/** The condition goes with a fixed entry: the service is told no other than those that are written. */
const matchNeedsValue: Rule = (fields, report) => {
  const fixed = structsOf(fields["entries"]).some(([, { value }]) => value !== undefined);
  if (fields["match"] !== undefined && !fixed)
    report(["match"], "needs an entry with a value, which tells the service what matched");
};

const descriptor = struct(
  {
    match: match.exactOptional(),
    entries: z.array(entry).min(1, "must have at least one entry").max(16, "must have at most 16 entries"),
  },
  matchNeedsValue,
);

const global = struct({
  service: serviceReference,
  port,
  domain: keyOrValue,
  timeout: positiveDuration.exactOptional(),
  failClosed: z.boolean().exactOptional(),
  descriptors: z
    .array(descriptor)
    .min(1, "must have at least one descriptor")
    .max(64, "must have at most 64 descriptors"),
});

/** Who is refused, another service says. */
const globalHasNoShadow: Rule = (fields, report) => {
  if (fields["global"] !== undefined && fields["shadow"] !== undefined)
    report(["shadow"], "cannot stand beside global: the rate limit service says whom it only counts");
  if (fields["global"] !== undefined && fields["runtimeKey"] !== undefined)
    report(["runtimeKey"], "cannot stand beside global: the rate limit service says who is refused");
};

/** Callers count for services that they name. */
const outboundNeedsHost: Rule = (fields, report) => {
  if (fields["direction"] === "OUTBOUND" && fields["host"] === undefined)
    report(["host"], "is required with direction OUTBOUND: say which service's callers count");
};

/** A caller is nobody's client: it has neither identity nor address for itself. */
const outboundHasNoSource: Rule = (fields, report) => {
  if (fields["direction"] !== "OUTBOUND") return;
  const service = isFields(fields["global"]) ? fields["global"] : {};
  for (const [index, { entries }] of structsOf(service["descriptors"]))
    for (const [position, { source }] of structsOf(entries))
      if (source !== undefined)
        report(
          ["global", "descriptors", index, "entries", position, "source"],
          "cannot stand with direction OUTBOUND: there is one caller, itself",
        );
  if (!Array.isArray(fields["limits"])) return;
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
    runtimeKey: runtimeKey.exactOptional(),
    status: integer(400, 599, "an HTTP error status").exactOptional(),
    grpcStatus: z.enum(["UNAVAILABLE", "RESOURCE_EXHAUSTED"]).exactOptional(),
    tellsLimits: z.boolean().exactOptional(),
    limits: z
      .array(limit)
      .min(1, "must have at least one limit")
      .max(64, "must have at most 64 limits")
      .exactOptional(),
    global: global.exactOptional(),
  },
  exactlyOne("limits", "global"),
  globalHasNoShadow,
  outboundNeedsHost,
  outboundHasNoSource,
);
