import { z } from "zod";
import { textColumn } from "../column.js";
import { duration } from "../schema/durations.js";
import { integer, uint32 } from "../schema/numbers.js";
import { mapOf } from "../schema/labels.js";
import { label, stringThat } from "../schema/strings.js";
import { excludes, isFields, listOf, struct, type Fields, type Rule } from "../schema/struct.js";
import { filterProblem } from "./filter.js";
import { consulKind, elsewhere, isSubsetName, meta, target } from "./parts.js";
import type { ServiceResolverSpec } from "./type.js";

const MAX_TARGETS = 32;

const filter = z.string().superRefine((value, context) => {
  const problem = filterProblem(value);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

const subset = struct({ filter: filter.exactOptional(), onlyPassing: z.boolean().exactOptional() });

const saysSomething: Rule = (fields, report) => {
  if (fields["service"] === undefined && fields["namespace"] === undefined) {
    report([], "must name a service");
  }
};

/** Failover needs somebody to take over. */
const hasTarget: Rule = (fields, report) => {
  const single = ["service", "serviceSubset", "namespace"].filter((name) => fields[name] !== undefined);
  const several = fields["targets"] !== undefined;
  if (several && single.length > 0) report([], `cannot have targets together with ${single.join(" and ")}`);
  if (!several && single.length === 0)
    report([], "must have at least one of service, serviceSubset, targets");
};

const failover = struct(
  {
    ...target,
    ...elsewhere,
    datacenters: z
      .array(z.string())
      .max(0, "is not carried out: a mesh of Tulle has one datacenter")
      .exactOptional(),
    targets: z
      .array(struct({ ...target, ...elsewhere }))
      .min(1, "must have at least one target")
      .max(MAX_TARGETS, `must have at most ${MAX_TARGETS} targets`)
      .exactOptional(),
    policy: struct({ mode: z.literal("sequential").exactOptional() }).exactOptional(),
  },
  hasTarget,
);

const cookieConfig = struct({
  session: z.boolean().exactOptional(),
  ttl: duration.exactOptional(),
  path: label.exactOptional(),
});

const ofOneThing: Rule = (fields, report) => {
  const bySource = fields["sourceIP"] === true;
  if (bySource && (fields["field"] !== undefined || fields["fieldValue"] !== undefined))
    report(["sourceIP"], "cannot stand together with field");
  if (!bySource && (fields["field"] === undefined || fields["fieldValue"] === undefined))
    report([], "must have field and fieldValue, or sourceIP");
  if (fields["cookieConfig"] !== undefined && fields["field"] !== "cookie")
    report(["cookieConfig"], "is for the field cookie");
};

const hashPolicy = struct(
  {
    field: z.enum(["header", "cookie", "query_parameter"]).exactOptional(),
    fieldValue: label.exactOptional(),
    cookieConfig: cookieConfig.exactOptional(),
    sourceIP: z.boolean().exactOptional(),
    terminal: z.boolean().exactOptional(),
  },
  ofOneThing,
);

const HASHING: ReadonlySet<unknown> = new Set(["ring_hash", "maglev"]);

const hashesSomething: Rule = (fields, report) => {
  const policy = fields["policy"];
  if (listOf(fields["hashPolicies"]).length > 0 && !HASHING.has(policy))
    report(["hashPolicies"], "is for the policies ring_hash and maglev");
  if (fields["ringHashConfig"] !== undefined && policy !== "ring_hash")
    report(["ringHashConfig"], "is for the policy ring_hash");
  if (fields["leastRequestConfig"] !== undefined && policy !== "least_request")
    report(["leastRequestConfig"], "is for the policy least_request");
};

const loadBalancer = struct(
  {
    policy: z.enum(["random", "round_robin", "least_request", "ring_hash", "maglev", ""]).exactOptional(),
    leastRequestConfig: struct({
      choiceCount: integer(2, 1_000_000, "a number of choices").exactOptional(),
    }).exactOptional(),
    ringHashConfig: struct({
      minimumRingSize: uint32.exactOptional(),
      maximumRingSize: uint32.exactOptional(),
    }).exactOptional(),
    hashPolicies: z.array(hashPolicy).max(16, "must have at most 16 items").exactOptional(),
  },
  hashesSomething,
);

function subsetsOf(fields: Fields): readonly string[] {
  return isFields(fields["subsets"]) ? Object.keys(fields["subsets"]) : [];
}

const declaredSubsets: Rule = (fields, report) => {
  const known = subsetsOf(fields);
  const { defaultSubset, failover: by } = fields;
  if (typeof defaultSubset === "string" && !known.includes(defaultSubset))
    report(["defaultSubset"], `${JSON.stringify(defaultSubset)} is not among the subsets`);
  for (const name of isFields(by) ? Object.keys(by) : []) {
    if (name !== "*" && !known.includes(name))
      report(["failover", name], `${JSON.stringify(name)} is neither "*" nor among the subsets`);
  }
};

const subsetKey = 'the name of a subset such as "v1"';

export const serviceResolverKind = consulKind<ServiceResolverSpec>(
  "ServiceResolver",
  {
    specOptional: true,
    schema: struct(
      {
        connectTimeout: duration.exactOptional(),
        requestTimeout: duration.exactOptional(),
        subsets: mapOf(subset, isSubsetName, subsetKey).exactOptional(),
        defaultSubset: stringThat(isSubsetName, subsetKey).exactOptional(),
        redirect: struct({ ...target, ...elsewhere }, saysSomething).exactOptional(),
        failover: mapOf(
          failover,
          (key) => key === "*" || isSubsetName(key),
          `"*" or ${subsetKey}`,
        ).exactOptional(),
        prioritizeByLocality: struct({ mode: z.enum(["failover", "none"]).exactOptional() }).exactOptional(),
        loadBalancer: loadBalancer.exactOptional(),
        meta: meta.exactOptional(),
      },
      declaredSubsets,
      excludes("redirect", "failover", "subsets", "defaultSubset", "prioritizeByLocality"),
    ),
  },
  [
    textColumn<ServiceResolverSpec>("Subsets", "Those that it declares.", ({ spec }) =>
      Object.keys(spec.subsets ?? {}).join(","),
    ),
    textColumn<ServiceResolverSpec>(
      "Redirect",
      "Who is called instead.",
      ({ spec }) => spec.redirect?.service,
    ),
  ],
);
