import type { Kind } from "../kind.js";
import { hostnameColumns } from "../gateway-api/columns.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import { httpParentWarnings } from "../gateway-api/parent-warnings.js";
import { checkSpec } from "../schema/check.js";
import { httpRouteSpec } from "./schema.js";
import type { HTTPRouteSpec } from "./type.js";

export const httpRouteKind: Kind<HTTPRouteSpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1", "v1beta1"],
  storageVersion: "v1",
  kind: "HTTPRoute",
  plural: "httproutes",
  singular: "httproute",
  shortNames: [],
  categories: ["gateway-api"],
  scope: "Namespaced",
  columns: hostnameColumns,
  check: checkSpec({ schema: httpRouteSpec, warn: httpParentWarnings }),
};
