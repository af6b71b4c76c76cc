import type { JsonObject } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { RBACSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import type { Facts, Judgement } from "../contract.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { Trace } from "../trace.js";
import type { ConnectionGuard, GuardAnswer } from "./connection-guard.js";
import { compileRbac, type CompiledPolicy, type Rbac } from "./rbac.js";
import { isAsking, refusalDetails, shadowFinding } from "./rbac-step.js";
import { tellJudgement } from "./tell-judgement.js";

const NAMESPACE = "envoy.filters.network.rbac";

/** `envoy.filters.network.rbac`: lets connections through by who makes them and where to. */
export class NetworkRbac implements ConnectionGuard {
  readonly clusters: readonly string[] = [];
  readonly #rules: Rbac | undefined;
  readonly #shadow: Rbac | undefined;
  readonly #shadowPrefix: string;

  constructor(rules: Rbac | undefined, shadow: Rbac | undefined, shadowPrefix: string) {
    this.#rules = rules;
    this.#shadow = shadow;
    this.#shadowPrefix = shadowPrefix;
  }

  admit(facts: Facts, trace: Trace | undefined): GuardAnswer {
    const rules = this.#rules;
    const judged: Judgement[] = [];
    const metadata = this.#look(facts, judged, trace);
    if (rules === undefined) return { metadata, judged };
    const policy = rules.find(facts);
    if (trace !== undefined) tellJudgement(trace, rules, policy, facts, false);
    if (rules.action === "LOG" && policy !== undefined)
      judged.push({ kind: "audit", allowed: true, policy: policy.name });
    if (rules.allows(policy)) return { metadata, judged };
    judged.push({ kind: "enforced", allowed: false, policy: policy?.name ?? "" });
    return { refusal: { flag: "", details: refusalDetails(policy) }, judged };
  }

  /** What the shadow finds; undefined = there is none. */
  #look(facts: Facts, judged: Judgement[], trace: Trace | undefined): GuardAnswer["metadata"] {
    const shadow = this.#shadow;
    if (shadow === undefined) return undefined;
    const policy: CompiledPolicy | undefined = shadow.find(facts);
    if (trace !== undefined) tellJudgement(trace, shadow, policy, facts, true);
    const allowed = shadow.allows(policy);
    if (!isAsking(this.#shadowPrefix)) judged.push({ kind: "shadow", allowed, policy: policy?.name ?? "" });
    const value: JsonObject = shadowFinding(this.#shadowPrefix, allowed, policy);
    return { namespace: NAMESPACE, value };
  }
}

export function compileNetworkRbac(field: string, any: Any): NetworkRbac {
  const config = unpack(field, any, RBACSchema);
  if (config.matcher !== undefined) throw invalid(at(field, "matcher"), "is not supported: use rules");
  if (config.shadowMatcher !== undefined)
    throw invalid(at(field, "shadow_matcher"), "is not supported: use shadow_rules");
  return new NetworkRbac(
    compileRbac(at(field, "rules"), config.rules),
    compileRbac(at(field, "shadow_rules"), config.shadowRules),
    config.shadowRulesStatPrefix,
  );
}
