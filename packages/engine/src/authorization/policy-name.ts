import type { Provenance } from "../snapshot/contract.js";

const NAME = /^(?:istio-ext-authz-.*-)?ns\[([^[\]]*)\]-policy\[([^[\]]*)\]-rule\[(\d+)\]$/;

/** The object and the rule that a policy's name tells, by Istio's convention: `ns[default]-policy[reviews]-rule[0]`. */
export function policyOwner(name: string): Provenance | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, namespace = "", policy = "", rule = ""] = match;
  return {
    config: `/apis/security.istio.io/v1/namespaces/${namespace}/authorization-policy/${policy}`,
    rule: `rules[${rule}]`,
  };
}
