import { ageColumn } from "../age.js";
import { listCell, textColumn } from "../column.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { k8sGatewaySpec } from "./schema.js";
import type { K8sGatewaySpec } from "./type.js";

export const k8sGatewayKind: Kind<K8sGatewaySpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1", "v1beta1"],
  storageVersion: "v1",
  kind: "Gateway",
  plural: "gateways",
  singular: "gateway",
  shortNames: ["gtw"],
  categories: ["gateway-api"],
  scope: "Namespaced",
  columns: [
    textColumn<K8sGatewaySpec>("Class", "Who runs it.", ({ spec }) => spec.gatewayClassName),
    textColumn<K8sGatewaySpec>("Listeners", "Ports that are opened.", ({ spec }) =>
      listCell([...new Set(spec.listeners.map(({ port, protocol }) => `${port}/${protocol}`))]),
    ),
    ageColumn,
  ],
  check: checkSpec({ schema: k8sGatewaySpec }),
};
