import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { stringThat, text } from "../schema/strings.js";
import { struct } from "../schema/struct.js";
import type { GatewayClassSpec } from "./type.js";

const schema = struct({
  controllerName: stringThat(
    (value) => value.length <= 253 && /^[a-z0-9.-]+\/[A-Za-z0-9/._~%!$&'()*+,;=:-]+$/.test(value),
    'a domain and a path such as "tulle.dev/gateway-controller"',
  ),
  description: text.exactOptional(),
});

export const gatewayClassKind: Kind<GatewayClassSpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1", "v1beta1"],
  storageVersion: "v1",
  kind: "GatewayClass",
  plural: "gatewayclasses",
  singular: "gatewayclass",
  shortNames: ["gc"],
  categories: ["gateway-api"],
  scope: "Cluster",
  columns: [
    textColumn<GatewayClassSpec>("Controller", "Who runs its Gateways.", ({ spec }) => spec.controllerName),
    ageColumn,
  ],
  check: checkSpec({ schema }),
};
