import { z } from "zod";
import { fieldOfType } from "../gateway-api/filters.js";
import { atMost, oneTo } from "../gateway-api/lists.js";
import { httpName } from "../gateway-api/names.js";
import { cookieName, tableSize } from "../destination-rule/load-balancer.js";
import { percentage } from "../kuma/percentage.js";
import { policyDestination, topTargetRef } from "../kuma/target-ref.js";
import { duration } from "../schema/durations.js";
import { isQualifiedName, LABEL_KEY } from "../schema/labels.js";
import { integer } from "../schema/numbers.js";
import { label, nonEmpty, stringThat, text } from "../schema/strings.js";
import { struct, type Rule } from "../schema/struct.js";
import type { MeshLoadBalancingStrategySpec } from "./type.js";

/** Kuma's limit. */
const MAX_RING = 8_000_000;

const connection = struct({ sourceIP: z.boolean().exactOptional() });

const hashPolicy = struct(
  {
    type: z.enum(["Header", "Cookie", "Connection", "SourceIP", "QueryParameter", "FilterState"]),
    terminal: z.boolean().exactOptional(),
    header: struct({ name: httpName }).exactOptional(),
    cookie: struct({
      name: cookieName,
      ttl: duration.exactOptional(),
      path: text.exactOptional(),
    }).exactOptional(),
    connection: connection.exactOptional(),
    queryParameter: struct({ name: nonEmpty }).exactOptional(),
    filterState: struct({ key: nonEmpty }).exactOptional(),
  },
  ({ type, connection: given, ...fields }, report) => {
    // An older name of Connection, whose field it shares.
    if (type === "SourceIP" && given === undefined) return;
    const known = type === "SourceIP" ? "Connection" : type;
    fieldOfType(
      {
        Header: "header",
        Cookie: "cookie",
        Connection: "connection",
        QueryParameter: "queryParameter",
        FilterState: "filterState",
      },
      "a hash policy",
    )({ type: known, connection: given, ...fields }, report);
  },
);
const hashPolicies = atMost(16, hashPolicy).exactOptional();

const TYPES: Readonly<Record<string, string>> = {
  RoundRobin: "roundRobin",
  LeastRequest: "leastRequest",
  RingHash: "ringHash",
  Random: "random",
  Maglev: "maglev",
};

/** What is said of another algorithm is a mistake. */
const ownFieldOnly: Rule = (fields, report) => {
  for (const [type, field] of Object.entries(TYPES)) {
    if (fields["type"] !== type && fields[field] !== undefined)
      report([field], `belongs to a load balancer of type ${type}`);
  }
};

const ringSizes: Rule = ({ minRingSize, maxRingSize }, report) => {
  if (typeof minRingSize !== "number" || typeof maxRingSize !== "number") return;
  if (minRingSize > maxRingSize)
    report(["minRingSize"], `is ${minRingSize}, above maxRingSize, ${maxRingSize}`);
};

const loadBalancer = struct(
  {
    type: z.enum(["RoundRobin", "LeastRequest", "RingHash", "Random", "Maglev"]),
    roundRobin: struct({}).exactOptional(),
    random: struct({}).exactOptional(),
    leastRequest: struct({
      choiceCount: integer(2, 100).exactOptional(),
      activeRequestBias: percentage.exactOptional(),
    }).exactOptional(),
    ringHash: struct(
      {
        hashFunction: z.enum(["XXHash", "MurmurHash2"]).exactOptional(),
        minRingSize: integer(1, MAX_RING).exactOptional(),
        maxRingSize: integer(1, MAX_RING).exactOptional(),
        hashPolicies,
      },
      ringSizes,
    ).exactOptional(),
    maglev: struct({ tableSize: tableSize.exactOptional(), hashPolicies }).exactOptional(),
  },
  ownFieldOnly,
);

const zones = oneTo(64, label);

const zonesWhereNeeded: Rule = ({ type, zones: given }, report) => {
  if (typeof type !== "string") return;
  const needed = type === "Only" || type === "AnyExcept";
  if (needed && given === undefined) report(["zones"], `is required with type ${type}`);
  if (!needed && given !== undefined) report(["zones"], `cannot be given with type ${type}`);
};

/** With weights for some, nobody could say what the others get. */
const allOrNoWeights: Rule = ({ affinityTags }, report) => {
  if (!Array.isArray(affinityTags)) return;
  const weighed = affinityTags.filter((tag: { weight?: unknown } | null) => tag?.weight !== undefined).length;
  if (weighed > 0 && weighed < affinityTags.length)
    report(["affinityTags"], "must have a weight each, or none of them");
};

const localityAwareness = struct({
  disabled: z.boolean().exactOptional(),
  localZone: struct(
    {
      affinityTags: atMost(
        16,
        struct({
          key: stringThat(isQualifiedName, LABEL_KEY),
          weight: integer(1, 1_000_000, "a weight").exactOptional(),
        }),
      ).exactOptional(),
    },
    allOrNoWeights,
  ).exactOptional(),
  crossZone: struct({
    failover: atMost(
      64,
      struct({
        from: struct({ zones }).exactOptional(),
        to: struct(
          { type: z.enum(["None", "Only", "Any", "AnyExcept"]), zones: zones.exactOptional() },
          zonesWhereNeeded,
        ),
      }),
    ).exactOptional(),
    failoverThreshold: struct({
      percentage: percentage.refine((value) => Number(value) > 0, { error: "must be above 0" }),
    }).exactOptional(),
  }).exactOptional(),
});

/** Kuma's MeshLoadBalancingStrategy. */
export const meshLoadBalancingStrategySpec: z.ZodType<MeshLoadBalancingStrategySpec> = struct({
  targetRef: topTargetRef.exactOptional(),
  to: atMost(
    64,
    struct({
      targetRef: policyDestination,
      default: struct({
        localityAwareness: localityAwareness.exactOptional(),
        loadBalancer: loadBalancer.exactOptional(),
        hashPolicies,
      }).exactOptional(),
    }),
  ).exactOptional(),
});
