import type { Kind } from "../kind.js";
import { hostnameColumns } from "../gateway-api/columns.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import { httpParentWarnings } from "../gateway-api/parent-warnings.js";
import { checkSpec } from "../schema/check.js";
import { grpcRouteSpec } from "./schema.js";
import type { GRPCRouteSpec } from "./type.js";

export const grpcRouteKind: Kind<GRPCRouteSpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1"],
  storageVersion: "v1",
  kind: "GRPCRoute",
  plural: "grpcroutes",
  singular: "grpcroute",
  shortNames: [],
  categories: ["gateway-api"],
  scope: "Namespaced",
  columns: hostnameColumns,
  check: checkSpec({ schema: grpcRouteSpec, warn: httpParentWarnings }),
};
