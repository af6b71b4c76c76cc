import type { Kind } from "../kind.js";
import { ageColumn } from "../age.js";
import { GATEWAY_API_GROUP } from "../gateway-api/names.js";
import { parentWarnings } from "../gateway-api/parent-warnings.js";
import { checkSpec } from "../schema/check.js";
import { tlsRouteSpec } from "./schema.js";
import type { TLSRouteSpec } from "./type.js";

export const tlsRouteKind: Kind<TLSRouteSpec> = {
  group: GATEWAY_API_GROUP,
  versions: ["v1", "v1alpha3", "v1alpha2"],
  storageVersion: "v1",
  kind: "TLSRoute",
  plural: "tlsroutes",
  singular: "tlsroute",
  shortNames: [],
  categories: ["gateway-api"],
  scope: "Namespaced",
  columns: [ageColumn],
  check: checkSpec({ schema: tlsRouteSpec, warn: parentWarnings }),
};
