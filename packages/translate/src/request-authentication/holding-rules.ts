import type { JwtRuleSpec, RequestAuthenticationSpec } from "@tulle/api";
import { REQUEST_AUTHENTICATION } from "../kinds.js";
import { holdsFor, type Guarded } from "../policy-scope.js";
import type { Translation } from "../translation.js";
import { byAge } from "../visibility.js";

/** The rules for tokens that hold for something, the oldest object's first. They add up. */
export function holdingRules(t: Translation, guarded: Guarded): readonly JwtRuleSpec[] {
  const holding = [...t.objects<RequestAuthenticationSpec>(REQUEST_AUTHENTICATION)]
    .filter((object) => holdsFor(t, object, guarded))
    .sort(byAge);
  for (const object of holding) t.own(object);
  return holding.flatMap(({ spec }) => spec.jwtRules ?? []);
}
