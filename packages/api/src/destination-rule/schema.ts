import { z } from "zod";
import { hostPattern } from "../schema/hosts.js";
import { labels, matchLabelsSelector } from "../schema/labels.js";
import { exportTo, exportToRule, isDnsLabel } from "../schema/namespaces.js";
import { stringThat } from "../schema/strings.js";
import { struct, unique } from "../schema/struct.js";
import { trafficPolicy } from "./traffic-policy.js";
import type { DestinationRuleSpec } from "./type.js";

// Cluster names and SNI are made of it, with "_" and "|" between their parts.
const isSubsetName = (value: string) =>
  isDnsLabel(value) || /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$/.test(value);

/** Istio's DestinationRule, every documented field. */
export const destinationRuleSpec: z.ZodType<DestinationRuleSpec> = struct(
  {
    host: hostPattern,
    trafficPolicy: trafficPolicy.exactOptional(),
    subsets: z
      .array(
        struct({
          name: stringThat(isSubsetName, 'a name of at most 63 letters, digits, "-" and ".", such as "v1"'),
          labels: labels.exactOptional(),
          trafficPolicy: trafficPolicy.exactOptional(),
        }),
      )
      .exactOptional(),
    exportTo: exportTo.exactOptional(),
    workloadSelector: matchLabelsSelector.exactOptional(),
  },
  unique("subsets", "name"),
  exportToRule,
);
