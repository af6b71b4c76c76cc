import { z } from "zod";
import { textColumn } from "../column.js";
import { requestHeaders, responseHeaders } from "../schema/headers.js";
import { percent } from "../schema/numbers.js";
import { struct, structsOf, type Rule } from "../schema/struct.js";
import { consulKind, meta, target } from "./parts.js";
import type { ServiceSplitterSpec } from "./type.js";

const MAX_SPLITS = 100;

/** Weights are percentages of the whole, to the hundredth. */
const sumsToAll: Rule = (fields, report) => {
  let sum = 0;
  for (const [index, { weight }] of structsOf(fields["splits"])) {
    if (typeof weight !== "number") return;
    const hundredths = Math.round(weight * 100);
    if (Math.abs(weight * 100 - hundredths) > 1e-6)
      report(["splits", index, "weight"], `has more than two decimals: ${weight}`);
    sum += hundredths;
  }
  if (sum !== 10_000) report(["splits"], `the sum of all weights must be 100, not ${sum / 100}`);
};

const differ: Rule = (fields, report) => {
  const seen = new Set<string>();
  for (const [index, { service, serviceSubset, namespace }] of structsOf(fields["splits"])) {
    const key = JSON.stringify([service ?? "", serviceSubset ?? "", namespace ?? ""]);
    if (seen.has(key)) report(["splits", index], "repeats the destination of another split");
    seen.add(key);
  }
};

const split = struct({
  weight: percent,
  ...target,
  requestHeaders: requestHeaders.exactOptional(),
  responseHeaders: responseHeaders.exactOptional(),
});

export const serviceSplitterKind = consulKind<ServiceSplitterSpec>(
  "ServiceSplitter",
  {
    schema: struct(
      {
        splits: z
          .array(split)
          .min(1, "must have at least one split")
          .max(MAX_SPLITS, `must have at most ${MAX_SPLITS} splits`),
        meta: meta.exactOptional(),
      },
      sumsToAll,
      differ,
    ),
  },
  [
    textColumn<ServiceSplitterSpec>("Splits", "Shares by destination.", ({ spec, metadata }) =>
      spec.splits
        .map(
          ({ weight, service = metadata.name, serviceSubset }) =>
            `${weight}% ${service}${serviceSubset === undefined ? "" : `:${serviceSubset}`}`,
        )
        .join(","),
    ),
  ],
);
