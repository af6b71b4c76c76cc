import { z } from "zod";
import { atMost } from "../gateway-api/lists.js";
import { struct } from "../schema/struct.js";
import { policyDestination, topTargetRef } from "./target-ref.js";
import type { KumaOutboundPolicySpec } from "./type.js";

const everybody = struct({ kind: z.enum(["Mesh"]) });

/** A policy of those that call. What it says of those that are called is read, and warned of. */
export function outboundPolicy<Conf>(conf: z.ZodType<Conf>): z.ZodType<KumaOutboundPolicySpec<Conf>> {
  return struct({
    targetRef: topTargetRef.exactOptional(),
    to: atMost(64, struct({ targetRef: policyDestination, default: conf.exactOptional() })).exactOptional(),
    rules: atMost(64, struct({ default: conf.exactOptional() })).exactOptional(),
    from: atMost(64, struct({ targetRef: everybody, default: conf.exactOptional() })).exactOptional(),
  });
}

/** What of such a policy is not carried out. */
export function outboundWarnings({
  to = [],
  rules,
  from,
}: KumaOutboundPolicySpec<unknown>): readonly string[] {
  const warnings = to.length === 0 ? ["spec.to is empty: the policy holds for no calls"] : [];
  for (const [field, list] of Object.entries({ rules, from })) {
    if (list !== undefined && list.length > 0)
      warnings.push(`spec.${field} has no effect: callers' sidecars carry the policy out, by spec.to`);
  }
  return warnings;
}
