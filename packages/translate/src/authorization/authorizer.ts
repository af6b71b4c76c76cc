import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { HeaderValueSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { GrpcServiceSchema, type GrpcService } from "@tulle/xds/gen/envoy/config/core/v3/grpc_service_pb.js";
import {
  HttpServiceSchema,
  type HttpService,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { RegexMatcherSchema } from "@tulle/xds/gen/envoy/type/matcher/v3/regex_pb.js";
import {
  ListStringMatcherSchema,
  StringMatcherSchema,
  type ListStringMatcher,
  type StringMatcher,
} from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";

/** How an HTTP service is asked, and what becomes of its answer's fields. */
export interface HttpAuthorizerWords {
  readonly pathPrefix: string;
  /** Further fields of the check. */
  readonly adds?: Readonly<Record<string, string>> | undefined;
  readonly toUpstream?: readonly string[] | undefined;
  readonly toClientOnDeny?: readonly string[] | undefined;
  readonly toClientOnAllow?: readonly string[] | undefined;
}

/** An authorization service over gRPC, by its cluster. */
export function grpcAuthorizer(clusterName: string, authority: string, timeout: Duration): GrpcService {
  return create(GrpcServiceSchema, {
    targetSpecifier: { case: "envoyGrpc", value: { clusterName, authority } },
    timeout,
  });
}

/** The same over HTTP. */
export function httpAuthorizer(
  cluster: string,
  authority: string,
  timeout: Duration,
  { pathPrefix, adds = {}, toUpstream, toClientOnDeny, toClientOnAllow }: HttpAuthorizerWords,
): HttpService {
  return create(HttpServiceSchema, {
    serverUri: { uri: `http://${authority}`, httpUpstreamType: { case: "cluster", value: cluster }, timeout },
    pathPrefix,
    authorizationRequest: {
      headersToAdd: Object.entries(adds).map(([key, value]) =>
        // Nobody here knows Envoy's command operators: a per cent sign is one.
        create(HeaderValueSchema, { key, value: value.replaceAll("%", "%%") }),
      ),
    },
    authorizationResponse: {
      ...(toUpstream && { allowedUpstreamHeaders: namesOf(toUpstream) }),
      ...(toClientOnDeny && { allowedClientHeaders: namesOf(toClientOnDeny) }),
      ...(toClientOnAllow && { allowedClientHeadersOnSuccess: namesOf(toClientOnAllow) }),
    },
  });
}

/** Istio's patterns of names: exact, `prefix*`, `*suffix`, `*`; in any case. */
export function namesOf(patterns: readonly string[]): ListStringMatcher {
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
