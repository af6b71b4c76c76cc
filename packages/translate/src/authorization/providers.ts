import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { ExtensionProvider, HttpAuthorizationProvider } from "@tulle/api";
import { HeaderValueSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import { GrpcServiceSchema, type GrpcService } from "@tulle/xds/gen/envoy/config/core/v3/grpc_service_pb.js";
import {
  ExtAuthzSchema,
  HttpServiceSchema,
  type ExtAuthz,
  type HttpService,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { RegexMatcherSchema } from "@tulle/xds/gen/envoy/type/matcher/v3/regex_pb.js";
import {
  ListStringMatcherSchema,
  StringMatcherSchema,
  type ListStringMatcher,
  type StringMatcher,
} from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import { durationOf, durationOfText } from "../duration.js";
import { askedService } from "../asked-service.js";
import { fromMeshConfig } from "../mesh-config.js";
import type { Translation } from "../translation.js";

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
        ? { case: "grpcService", value: grpcServiceOf(cluster, authority, timeout) }
        : { case: "httpService", value: httpServiceOf(http, cluster, authority, timeout) },
  });
}

function grpcServiceOf(clusterName: string, authority: string, timeout: Duration): GrpcService {
  return create(GrpcServiceSchema, {
    targetSpecifier: { case: "envoyGrpc", value: { clusterName, authority } },
    timeout,
  });
}

function httpServiceOf(
  http: HttpAuthorizationProvider,
  cluster: string,
  authority: string,
  timeout: Duration,
): HttpService {
  const { headersToUpstreamOnAllow, headersToDownstreamOnDeny, headersToDownstreamOnAllow } = http;
  return create(HttpServiceSchema, {
    serverUri: { uri: `http://${authority}`, httpUpstreamType: { case: "cluster", value: cluster }, timeout },
    pathPrefix: http.pathPrefix ?? "",
    authorizationRequest: {
      headersToAdd: Object.entries(http.includeAdditionalHeadersInCheck ?? {}).map(([key, value]) =>
        // Not Istio's business what Envoy's command operators mean: a per cent sign is one.
        create(HeaderValueSchema, { key, value: value.replaceAll("%", "%%") }),
      ),
    },
    authorizationResponse: {
      ...(headersToUpstreamOnAllow && { allowedUpstreamHeaders: namesOf(headersToUpstreamOnAllow) }),
      ...(headersToDownstreamOnDeny && { allowedClientHeaders: namesOf(headersToDownstreamOnDeny) }),
      ...(headersToDownstreamOnAllow && {
        allowedClientHeadersOnSuccess: namesOf(headersToDownstreamOnAllow),
      }),
    },
  });
}

/** Istio's patterns: exact, `prefix*`, `*suffix`, `*`; in any case. */
function namesOf(patterns: readonly string[]): ListStringMatcher {
  return create(ListStringMatcherSchema, { patterns: patterns.map(nameOf) });
}

function nameOf(pattern: string): StringMatcher {
  const matchPattern: StringMatcher["matchPattern"] =
    pattern === "*"
      ? { case: "safeRegex", value: create(RegexMatcherSchema, { regex: ".*" }) }
      : {
          case: pattern.startsWith("*") ? "suffix" : pattern.endsWith("*") ? "prefix" : "exact",
          value: pattern.replace(/^\*|\*$/, ""),
        };
  return create(StringMatcherSchema, { matchPattern, ignoreCase: pattern !== "*" });
}
