import type { Any } from "@bufbuild/protobuf/wkt";
import type { ExtAuthz } from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { RouteExtAuthzSchema } from "@tulle/xds/gen/tulle/ext_authz/v1/route_ext_authz_pb.js";
import { packed } from "../messages.js";

/** Name of the filter that asks about the requests of routes which say so, and the key of their settings for it. */
export const EXTERNAL_AUTH_FILTER = "tulle.route_ext_authz";

/** The settings of a route for {@link EXTERNAL_AUTH_FILTER}. */
export function externalAuthConfig(check: ExtAuthz): Any {
  return packed(RouteExtAuthzSchema, { check });
}
