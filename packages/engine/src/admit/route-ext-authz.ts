import type { Any } from "@bufbuild/protobuf/wkt";
import { RouteExtAuthzSchema } from "@tulle/xds/gen/tulle/ext_authz/v1/route_ext_authz_pb.js";
import type { AdmissionStep } from "../contract.js";
import { unpack } from "../snapshot/any.js";
import { at } from "../snapshot/invalid.js";
import { createExtAuthzStep } from "./ext-authz.js";
import type { FilterKind } from "./filter-kind.js";

/** `tulle.route_ext_authz`: a route says which service is asked about its requests. */
export const routeExtAuthzKind: FilterKind = {
  type: RouteExtAuthzSchema.typeName,
  routeType: RouteExtAuthzSchema.typeName,
  compile: compileRouteExtAuthz,
  compileRoute: compileRouteExtAuthz,
};

function compileRouteExtAuthz(field: string, any: Any, place: string): AdmissionStep | undefined {
  const { check } = unpack(field, any, RouteExtAuthzSchema);
  return check === undefined ? undefined : createExtAuthzStep(at(field, "check"), check, place);
}
