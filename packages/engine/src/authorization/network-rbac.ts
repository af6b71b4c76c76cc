import type { Any } from "@bufbuild/protobuf/wkt";
import { RBACSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import type { ConnectionFacts, EngineRequest, Facts, Judgement } from "../contract.js";
import type { TcpChain } from "../snapshot/contract.js";
import { holds, unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import { BytesChain } from "../snapshot/tcp-settings.js";
import type { Trace } from "../trace.js";
import { compileRbac, type Rbac } from "./rbac.js";
import { refusalDetails } from "./rbac-step.js";
import { tellJudgement } from "./tell-judgement.js";

/** A network filter that lets connections through, or does not. */
export interface NetworkRbac {
  readonly rules: Rbac | undefined;
  readonly shadow: Rbac | undefined;
}

/** Whether a network filter's configuration is an RBAC. */
export function isNetworkRbac(any: Any | undefined): any is Any {
  return any !== undefined && holds(any, RBACSchema);
}

export function compileNetworkRbac(field: string, any: Any): NetworkRbac {
  const config = unpack(field, any, RBACSchema);
  if (config.matcher !== undefined) throw invalid(at(field, "matcher"), "is not supported: use rules");
  if (config.shadowMatcher !== undefined)
    throw invalid(at(field, "shadow_matcher"), "is not supported: use shadow_rules");
  return {
    rules: compileRbac(at(field, "rules"), config.rules),
    shadow: compileRbac(at(field, "shadow_rules"), config.shadowRules),
  };
}

/** What filters make of a connection. */
export interface ConnectionJudgement {
  /** Envoy's details of why it is refused; "" = it is not. */
  readonly refusal: string;
  readonly judged: readonly Judgement[];
}

/** Connections have none: what rules ask of one is not there. */
const NO_REQUEST: EngineRequest = { method: "", path: "", authority: "", scheme: "http", headers: [] };

/** What the filters of a chain say to a connection; undefined = there are none. */
export function admitConnection(
  chain: TcpChain,
  connection: ConnectionFacts,
  who: Pick<Facts, "principal" | "remoteAddress">,
  trace?: Trace,
): ConnectionJudgement | undefined {
  if (!(chain instanceof BytesChain) || chain.guards.length === 0) return undefined;
  const facts: Facts = { ...who, request: NO_REQUEST, connection };
  const judged: Judgement[] = [];
  for (const { rules, shadow } of chain.guards) {
    if (shadow !== undefined) {
      const policy = shadow.find(facts);
      judged.push({ kind: "shadow", allowed: shadow.allows(policy), policy: policy?.name ?? "" });
      if (trace !== undefined) tellJudgement(trace, shadow, policy, facts, true);
    }
    if (rules === undefined) continue;
    const policy = rules.find(facts);
    if (trace !== undefined) tellJudgement(trace, rules, policy, facts, false);
    if (rules.action === "LOG" && policy !== undefined)
      judged.push({ kind: "audit", allowed: true, policy: policy.name });
    if (rules.allows(policy)) continue;
    judged.push({ kind: "enforced", allowed: false, policy: policy?.name ?? "" });
    return { refusal: refusalDetails(policy), judged };
  }
  return { refusal: "", judged };
}
