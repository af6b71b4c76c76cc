import type { Facts } from "../contract.js";
import type { Trace } from "../trace.js";
import { lacks } from "./condition.js";
import type { CompiledPolicy, Rbac } from "./rbac.js";

/** Rules that are told of, which came closest. */
const CLOSEST = 3;
const SUBJECT = "authorization";

/** Tells which rule decided, and where none of those that allow did, which came closest and what they lack. */
export function tellJudgement(
  trace: Trace,
  rbac: Rbac,
  found: CompiledPolicy | undefined,
  facts: Facts,
  shadow: boolean,
): void {
  const dry = shadow ? "in a dry run, " : "";
  const refused = !rbac.allows(found);
  if (found !== undefined) {
    trace.add({
      step: "filter",
      subject: `${SUBJECT} ${found.name}`,
      verdict: refused && !shadow ? "chosen" : "info",
      reason: `${dry}${WORDS[rbac.action]}`,
      owner: found.owner,
    });
    return;
  }
  trace.add({
    step: "filter",
    subject: SUBJECT,
    verdict: refused && !shadow ? "chosen" : "passed-over",
    reason: `${dry}none of ${count(rbac.policies.length, rbac.action)} matches`,
  });
  for (const { policy, missing } of closest(rbac, facts)) {
    trace.add({
      step: "filter",
      subject: `${SUBJECT} ${policy.name}`,
      verdict: "passed-over",
      reason: missing.join("; "),
      owner: policy.owner,
    });
  }
}

const WORDS = {
  ALLOW: "the rule allows the request",
  DENY: "the rule denies the request",
  LOG: "the rule notes the request",
} as const;

function count(rules: number, action: Rbac["action"]): string {
  const name = action === "LOG" ? "AUDIT" : action;
  return rules === 1 ? `the one ${name} rule` : `${rules} ${name} rules`;
}

interface Near {
  readonly policy: CompiledPolicy;
  readonly missing: readonly string[];
}

function closest(rbac: Rbac, facts: Facts): readonly Near[] {
  return rbac.policies
    .map((policy) => ({ policy, missing: lacks(policy.condition, facts) }))
    .sort((left, right) => left.missing.length - right.missing.length)
    .slice(0, CLOSEST);
}
