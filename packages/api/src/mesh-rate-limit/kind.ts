import type { Kind } from "../kind.js";
import { inboundItems } from "../kuma/inbound-items.js";
import { policyKind } from "../kuma/policy-kind.js";
import { meshRateLimitSpec } from "./schema.js";
import type { MeshRateLimitSpec } from "./type.js";

export const meshRateLimitKind: Kind<MeshRateLimitSpec> = policyKind({
  kind: "MeshRateLimit",
  plural: "meshratelimits",
  schema: meshRateLimitSpec,
  warn: warnings,
});

function warnings(spec: MeshRateLimitSpec): readonly string[] {
  const items = inboundItems(spec);
  if (items.length === 0) return ["spec.rules is empty: the policy limits nothing"];
  return items.flatMap(({ item, field }) =>
    item.default?.local?.tcp?.connectionRate === undefined
      ? []
      : [`spec.${field}.default.local.tcp.connectionRate has no effect: connections are not counted`],
  );
}
