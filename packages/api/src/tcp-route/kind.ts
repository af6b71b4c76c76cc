import type { Kind } from "../kind.js";
import { ageColumn } from "../age.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import { parentWarnings } from "../gateway-api/parent-warnings.js";
import { checkSpec } from "../schema/check.js";
import { tcpRouteSpec } from "./schema.js";
import type { TCPRouteSpec } from "./type.js";

export const tcpRouteKind: Kind<TCPRouteSpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1", "v1alpha2"],
  storageVersion: "v1",
  kind: "TCPRoute",
  plural: "tcproutes",
  singular: "tcproute",
  shortNames: [],
  categories: ["gateway-api"],
  scope: "Namespaced",
  columns: [ageColumn],
  check: checkSpec({ schema: tcpRouteSpec, warn: parentWarnings }),
};
