import type { Kind } from "../kind.js";
import { outboundWarnings } from "../kuma/outbound-policy.js";
import { policyKind } from "../kuma/policy-kind.js";
import { meshCircuitBreakerSpec } from "./schema.js";
import type { MeshCircuitBreakerSpec } from "./type.js";

export const meshCircuitBreakerKind: Kind<MeshCircuitBreakerSpec> = policyKind({
  kind: "MeshCircuitBreaker",
  plural: "meshcircuitbreakers",
  schema: meshCircuitBreakerSpec,
  warn: outboundWarnings,
});
