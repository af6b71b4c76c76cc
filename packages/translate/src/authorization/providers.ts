import { create } from "@bufbuild/protobuf";
import type { ExtensionProvider, HttpAuthorizationProvider } from "@tulle/api";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import {
  ExtAuthzSchema,
  type ExtAuthz,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { durationOf, durationOfText } from "../duration.js";
import { askedService } from "../asked-service.js";
import { fromMeshConfig } from "../mesh-config.js";
import type { Translation } from "../translation.js";
import { grpcAuthorizer, httpAuthorizer, namesOf, type HttpAuthorizerWords } from "./authorizer.js";

/** Istio's: 10 minutes. */
const DEFAULT_TIMEOUT_MS = 600_000;
/** Istio's, where the body is told and nothing is said of its size. */
const DEFAULT_BODY_BYTES = 1024;

/** The provider of that name, of the oldest MeshConfig of the root namespace that has one. */
export function extensionProvider(t: Translation, name: string): ExtensionProvider | undefined {
  return fromMeshConfig(t, ({ extensionProviders }) =>
    extensionProviders?.find((provider) => provider.name === name),
  );
}

/** Envoy's filter that asks a provider; who is asked about what, the caller adds. */
export function extAuthzOf(t: Translation, provider: ExtensionProvider): ExtAuthz {
  const { envoyExtAuthzGrpc: grpc, envoyExtAuthzHttp: http } = provider;
  const common = grpc ?? http;
  if (common === undefined) throw new Error(`provider ${provider.name} has no service`);
  const { cluster, authority } = askedService(
    t,
    common,
    t.settings.rootNamespace,
    `provider ${provider.name}`,
  );
  const { includeRequestBodyInCheck: body } = common;
  const timeout =
    common.timeout === undefined ? durationOf(DEFAULT_TIMEOUT_MS) : durationOfText(common.timeout);
  return create(ExtAuthzSchema, {
    statPrefix: provider.name,
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: common.failOpen ?? false,
    statusOnError: { code: Number(common.statusOnError ?? 403) },
    clearRouteCache: common.clearRouteCache ?? false,
    ...(body === undefined
      ? {}
      : {
          withRequestBody: {
            maxRequestBytes: body.maxRequestBytes ?? DEFAULT_BODY_BYTES,
            allowPartialMessage: body.allowPartialMessage ?? false,
            packAsBytes: body.packAsBytes ?? false,
          },
        }),
    ...(http?.includeRequestHeadersInCheck === undefined
      ? {}
      : { allowedHeaders: namesOf(http.includeRequestHeadersInCheck) }),
    services:
      http === undefined
        ? { case: "grpcService", value: grpcAuthorizer(cluster, authority, timeout) }
        : { case: "httpService", value: httpAuthorizer(cluster, authority, timeout, wordsOf(http)) },
  });
}

function wordsOf(http: HttpAuthorizationProvider): HttpAuthorizerWords {
  return {
    pathPrefix: http.pathPrefix ?? "",
    adds: http.includeAdditionalHeadersInCheck,
    toUpstream: http.headersToUpstreamOnAllow,
    toClientOnDeny: http.headersToDownstreamOnDeny,
    toClientOnAllow: http.headersToDownstreamOnAllow,
  };
}
