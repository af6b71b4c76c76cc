import type { Any } from "@bufbuild/protobuf/wkt";
import { ExtAuthzSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { RBACSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { holds } from "../snapshot/any.js";
import type { ConnectionGuard } from "./connection-guard.js";
import { compileNetworkExtAuthz } from "./network-ext-authz.js";
import { compileNetworkRbac } from "./network-rbac.js";

/** Whether a network filter's configuration is of one that guards connections. */
export function isGuard(any: Any | undefined): any is Any {
  return any !== undefined && (holds(any, RBACSchema) || holds(any, ExtAuthzSchema));
}

/** Compiles a filter of which {@link isGuard} holds. */
export function compileGuard(field: string, any: Any): ConnectionGuard {
  return holds(any, RBACSchema) ? compileNetworkRbac(field, any) : compileNetworkExtAuthz(field, any);
}
