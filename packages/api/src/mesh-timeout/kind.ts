import type { Kind } from "../kind.js";
import { outboundWarnings } from "../kuma/outbound-policy.js";
import { policyKind } from "../kuma/policy-kind.js";
import { meshTimeoutSpec } from "./schema.js";
import type { MeshTimeoutSpec } from "./type.js";

export const meshTimeoutKind: Kind<MeshTimeoutSpec> = policyKind({
  kind: "MeshTimeout",
  plural: "meshtimeouts",
  schema: meshTimeoutSpec,
  warn: (spec) => [
    ...outboundWarnings(spec),
    ...(spec.to ?? []).flatMap((item, index) =>
      item.default?.http?.requestHeadersTimeout === undefined
        ? []
        : [
            `spec.to[${index}].default.http.requestHeadersTimeout has no effect: limits of clients are said when a sidecar is started`,
          ],
    ),
  ],
});
