import { create } from "@bufbuild/protobuf";
import type { HTTPExternalAuth } from "@tulle/api";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import {
  ExtAuthzSchema,
  type ExtAuthz,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { grpcAuthorizer, httpAuthorizer, namesOf } from "../authorization/authorizer.js";
import { durationOf } from "../duration.js";
import { outboundClusterName } from "../names.js";
import type { Translation } from "../translation.js";
import { backendOf } from "./backends.js";
import type { RefProblem } from "./problems.js";
import type { RouteObject } from "./route-kinds.js";

/** Gateway API says nothing of it: long enough for any check, too short to pile up requests. */
const TIMEOUT_MS = 5000;

/** Whom a filter asks, or why nobody can be asked. */
export type ExternalAuthorizer =
  | { readonly check: ExtAuthz; readonly problem?: never }
  | { readonly problem: RefProblem; readonly check?: never };

/**
 * The service that a filter `ExternalAuth` asks, failing closed. A body that is longer than what is shown of one is refused
 * with 413: a service that sees only a part of it could be made to overlook the rest.
 */
export function externalAuthorizer(
  t: Translation,
  { protocol, backendRef, grpc = {}, http = {}, forwardBody }: HTTPExternalAuth,
  route: RouteObject,
): ExternalAuthorizer {
  const { destination, problem } = backendOf(t, backendRef, route, "requests");
  if (problem !== undefined) return { problem };
  const port = destination.port?.number;
  if (port === undefined)
    return { problem: { reason: "BackendNotFound", message: `${destination.host} is named without a port` } };
  const cluster = outboundClusterName(destination.host, port);
  const authority = `${destination.host}:${port}`;
  const shown = (protocol === "GRPC" ? grpc : http).allowedHeaders ?? [];
  const maxRequestBytes = forwardBody?.maxSize ?? 0;
  const timeout = durationOf(TIMEOUT_MS);
  const check = create(ExtAuthzSchema, {
    statPrefix: `${route.metadata.namespace}/${route.metadata.name}`,
    transportApiVersion: ApiVersion.V3,
    ...(shown.length > 0 && { allowedHeaders: namesOf(shown) }),
    ...(maxRequestBytes > 0 && { withRequestBody: { maxRequestBytes, packAsBytes: protocol === "GRPC" } }),
    services:
      protocol === "GRPC"
        ? { case: "grpcService", value: grpcAuthorizer(cluster, authority, timeout) }
        : {
            case: "httpService",
            value: httpAuthorizer(cluster, authority, timeout, {
              pathPrefix: (http.path ?? "").replace(/\/+$/, ""),
              toUpstream: namesOrAll(http.allowedResponseHeaders),
            }),
          },
  });
  // What tells of the answer's own body would tell lies about the request's.
  if (protocol === "HTTP")
    check.decoderHeaderMutationRules = create(ExtAuthzSchema, {
      decoderHeaderMutationRules: { disallowExpression: { regex: "content-.*" } },
    }).decoderHeaderMutationRules;
  return { check };
}

function namesOrAll(names: readonly string[] = []): readonly string[] {
  return names.length === 0 ? ["*"] : names;
}
