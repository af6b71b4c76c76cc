import { assumedVerdict } from "../jwt/assumed-verdict.js";
import type { Fact, FactNeed } from "./contract.js";

/** The answer in a request's favour, for explanations that ask nobody. */
export function assumedFact(need: FactNeed): Fact {
  switch (need.kind) {
    case "jwt":
      return { kind: "jwt", verdicts: need.checks.map(assumedVerdict) };
    case "ext-authz":
      return {
        kind: "ext-authz",
        allowed: true,
        request: [],
        response: [],
        query: undefined,
        metadata: undefined,
        refusedMutations: 0,
      };
    case "rate-limit":
      return {
        kind: "rate-limit",
        over: false,
        request: [],
        response: [],
        limits: [],
        body: "",
        metadata: undefined,
      };
  }
}
