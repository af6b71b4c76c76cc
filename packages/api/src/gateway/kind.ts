import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { gatewayColumns } from "./columns.js";
import { gatewaySpec } from "./schema.js";
import type { GatewaySpec } from "./type.js";
import { gatewayWarnings } from "./warnings.js";

export const gatewayKind: Kind<GatewaySpec> = {
  group: "networking.istio.io",
  versions: ["v1", "v1beta1", "v1alpha3"],
  storageVersion: "v1",
  kind: "Gateway",
  plural: "gateways",
  singular: "gateway",
  shortNames: ["gw"],
  categories: ["istio-io", "networking-istio-io"],
  scope: "Namespaced",
  columns: gatewayColumns,
  check: checkSpec({ schema: gatewaySpec, warn: gatewayWarnings }),
};
