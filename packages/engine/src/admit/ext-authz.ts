import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  HeaderValueOptionSchema,
  HeaderValueOption_HeaderAppendAction as AppendAction,
} from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import type {
  AuthorizationResponse,
  BufferSettings,
  ExtAuthz,
  HttpService,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import {
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { ListStringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import type { AdmissionStep, StepVariant } from "../contract.js";
import { saltOf } from "../entropy.js";
import type { BodyNeed } from "../facts/contract.js";
import {
  DEFAULT_AUTHORIZER_TIMEOUT_MS,
  type ExtAuthzNeed,
  type GrpcAuthorizer,
  type HttpAnswerRules,
  type HttpAuthorizer,
} from "../facts/ext-authz.js";
import { compileMutationRules } from "../facts/mutation-rules.js";
import { compileShare } from "../route/fraction.js";
import { compileMutations } from "../route/header-mutations.js";
import { compileMetadataTest } from "../route/metadata-test.js";
import { compileStringTest, type StringTest } from "../route/string-test.js";
import { unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { ExtAuthzStep, type ExtAuthzSettings } from "./ext-authz-step.js";
import type { FilterKind } from "./filter-kind.js";
import { askTimeoutMs, compileGrpcService, wayTo } from "./grpc-service.js";

/** `envoy.filters.http.ext_authz`: a service is asked whether a request may pass. */
export const extAuthzKind: FilterKind = {
  type: ExtAuthzSchema.typeName,
  routeType: ExtAuthzPerRouteSchema.typeName,
  compile: compileExtAuthz,
  compileRoute: compileExtAuthzRoute,
};

const FORBIDDEN = 403;
const OVERWRITE = AppendAction.OVERWRITE_IF_EXISTS_OR_ADD;
/** What an HTTP service is told where no fields are named, as with Envoy. */
const ALWAYS_TOLD: ReadonlySet<string> = new Set(["authorization"]);

function compileExtAuthz(field: string, any: Any, place: string): AdmissionStep {
  return createExtAuthzStep(field, unpack(field, any, ExtAuthzSchema), place);
}

/** The step of an Envoy ExtAuthz. `place`: where it stands, for its chances. */
export function createExtAuthzStep(field: string, config: ExtAuthz, place: string): AdmissionStep {
  refuseUnsupported(field, config);
  const { service, timeoutMs } = compileService(field, config);
  const clusterName = service.way.settings.clusterName;
  const enabled = config.filterEnabled;
  const status: number = config.statusOnError?.code ?? FORBIDDEN;
  const need: ExtAuthzNeed = {
    kind: "ext-authz",
    name: config.statPrefix === "" ? clusterName : config.statPrefix,
    asks: `ext_authz ${service.protocol} ${clusterName}`,
    service,
    timeoutMs,
    body: compileBody(at(field, "with_request_body"), config.withRequestBody),
    tells: compileTold(field, config),
    packAsBytes: config.withRequestBody?.packAsBytes ?? false,
    rawHeaders: config.encodeRawHeaders,
    contextExtensions: {},
    metadataNamespaces: config.metadataContextNamespaces,
    tellsServerName: config.includeTlsSession,
    rules: compileMutationRules(
      at(field, "decoder_header_mutation_rules"),
      config.decoderHeaderMutationRules,
    ),
  };
  return new ExtAuthzStep({
    need,
    clusters: [clusterName],
    enabled:
      enabled &&
      compileShare(
        at(field, "filter_enabled.default_value"),
        enabled.defaultValue,
        saltOf(place),
        enabled.runtimeKey,
      ),
    enabledBy:
      config.filterEnabledMetadata &&
      compileMetadataTest(at(field, "filter_enabled_metadata"), config.filterEnabledMetadata),
    denyOthers: config.denyAtDisable?.defaultValue ?? false,
    failOpen: config.failureModeAllow,
    tellsFailOpen: config.failureModeAllowHeaderAdd,
    statusOnError: status < 400 ? FORBIDDEN : status,
    reroutes: config.clearRouteCache,
  });
}

function compileExtAuthzRoute(field: string, any: Any): StepVariant | undefined {
  const { override } = unpack(field, any, ExtAuthzPerRouteSchema);
  switch (override.case) {
    case "disabled":
      if (!override.value) throw invalid(at(field, "disabled"), "must be true, or not set");
      return undefined;
    case "checkSettings": {
      const { contextExtensions, disableRequestBodyBuffering, withRequestBody } = override.value;
      const settings = at(field, "check_settings");
      if (disableRequestBodyBuffering && withRequestBody !== undefined)
        throw invalid(settings, "must not set both of disable_request_body_buffering, with_request_body");
      const body = compileBody(at(settings, "with_request_body"), withRequestBody);
      return new RouteVariant((need) => ({
        ...need,
        contextExtensions: { ...need.contextExtensions, ...contextExtensions },
        body: disableRequestBodyBuffering ? undefined : (body ?? need.body),
        packAsBytes: withRequestBody?.packAsBytes ?? need.packAsBytes,
      }));
    }
    case undefined:
      throw invalid(field, "must set one of disabled, check_settings");
  }
}

/** What a route says to the service, over what the chain says. */
class RouteVariant implements StepVariant {
  readonly #alter: (need: ExtAuthzNeed) => ExtAuthzNeed;
  readonly #made = new WeakMap<AdmissionStep, AdmissionStep>();

  constructor(alter: (need: ExtAuthzNeed) => ExtAuthzNeed) {
    this.#alter = alter;
  }

  variantOf(own: AdmissionStep): AdmissionStep {
    if (!(own instanceof ExtAuthzStep)) return own;
    const known = this.#made.get(own);
    if (known !== undefined) return known;
    const settings: ExtAuthzSettings = { ...own.settings, need: this.#alter(own.settings.need) };
    const made = new ExtAuthzStep(settings);
    this.#made.set(own, made);
    return made;
  }
}

function refuseUnsupported(field: string, config: ExtAuthz): void {
  const unsupported: readonly (readonly [name: string, isSet: boolean, instead: string])[] = [
    ["typed_metadata_context_namespaces", config.typedMetadataContextNamespaces.length > 0, ""],
    ["route_metadata_context_namespaces", config.routeMetadataContextNamespaces.length > 0, ""],
    ["route_typed_metadata_context_namespaces", config.routeTypedMetadataContextNamespaces.length > 0, ""],
    [
      "include_peer_certificate",
      config.includePeerCertificate,
      ": the service is told the verified SPIFFE id",
    ],
    ["bootstrap_metadata_labels_key", config.bootstrapMetadataLabelsKey !== "", ""],
  ];
  for (const [name, isSet, instead] of unsupported)
    if (isSet) throw invalid(at(field, name), `is not supported${instead}`);
}

function compileService(
  field: string,
  config: ExtAuthz,
): { readonly service: GrpcAuthorizer | HttpAuthorizer; readonly timeoutMs: number } {
  const { services } = config;
  switch (services.case) {
    case "grpcService": {
      if (config.transportApiVersion !== ApiVersion.V3)
        throw invalid(at(field, "transport_api_version"), "must be V3");
      const asked = compileGrpcService(
        at(field, "grpc_service"),
        services.value,
        DEFAULT_AUTHORIZER_TIMEOUT_MS,
      );
      const { way, authority, metadata, timeoutMs } = asked;
      return { service: { protocol: "grpc", way, authority, metadata }, timeoutMs };
    }
    case "httpService":
      return compileHttpService(at(field, "http_service"), services.value);
    case undefined:
      throw invalid(field, "must set one of grpc_service, http_service");
  }
}

function compileHttpService(
  field: string,
  { serverUri, pathPrefix, authorizationRequest, authorizationResponse }: HttpService,
): { readonly service: HttpAuthorizer; readonly timeoutMs: number } {
  const uri = at(field, "server_uri");
  if (serverUri === undefined) throw invalid(uri, "must be set");
  const authority = /^(?:[a-z]+:\/\/)?([^/?#]+)/i.exec(serverUri.uri)?.[1];
  if (authority === undefined || !/^[\x21-\x7e]+$/.test(authority))
    throw invalid(at(uri, "uri"), "must name a host");
  if (pathPrefix !== "" && !/^\/[\x21-\x22\x24-\x3e\x40-\x7e]*$/.test(pathPrefix))
    throw invalid(at(field, "path_prefix"), "must be a path: it begins with / and has no query");
  const timeout = at(uri, "timeout");
  const adds = compileMutations(at(field, "authorization_request"), {
    requestHeadersToAdd: (authorizationRequest?.headersToAdd ?? []).map((header) =>
      create(HeaderValueOptionSchema, { header, appendAction: OVERWRITE, keepEmptyValue: true }),
    ),
    requestHeadersToRemove: [],
    responseHeadersToAdd: [],
    responseHeadersToRemove: [],
  });
  return {
    service: {
      protocol: "http",
      way: wayTo(at(uri, "cluster"), serverUri.httpUpstreamType.value ?? ""),
      authority,
      pathPrefix,
      adds: adds.request,
      answer: compileAnswerRules(at(field, "authorization_response"), authorizationResponse),
    },
    timeoutMs: askTimeoutMs(timeout, durationMs(timeout, serverUri.timeout) ?? 0),
  };
}

function compileAnswerRules(field: string, rules: AuthorizationResponse | undefined): HttpAnswerRules {
  const names = (name: string, list: ListStringMatcher | undefined): StringTest | undefined =>
    compileNames(at(field, name), list);
  return {
    toUpstream: names("allowed_upstream_headers", rules?.allowedUpstreamHeaders),
    toUpstreamBeside: names("allowed_upstream_headers_to_append", rules?.allowedUpstreamHeadersToAppend),
    toClient: names("allowed_client_headers", rules?.allowedClientHeaders),
    toClientOnAllow: names("allowed_client_headers_on_success", rules?.allowedClientHeadersOnSuccess),
    toMetadata: names("dynamic_metadata_from_headers", rules?.dynamicMetadataFromHeaders),
  };
}

function compileNames(field: string, list: ListStringMatcher | undefined): StringTest | undefined {
  if (list === undefined || list.patterns.length === 0) return undefined;
  const tests = list.patterns.map((pattern, index) =>
    compileStringTest(`${field}.patterns[${index}]`, pattern),
  );
  return (name) => tests.some((test) => test(name));
}

function compileTold(field: string, config: ExtAuthz): (name: string) => boolean {
  const http = config.services.case === "httpService" ? config.services.value : undefined;
  const older = http?.authorizationRequest?.allowedHeaders;
  const allowed =
    compileNames(at(field, "allowed_headers"), config.allowedHeaders) ??
    compileNames(at(field, "http_service.authorization_request.allowed_headers"), older);
  const hidden = compileNames(at(field, "disallowed_headers"), config.disallowedHeaders);
  return (name) => {
    if (hidden?.(name) === true) return false;
    if (http === undefined) return allowed === undefined || allowed(name);
    return ALWAYS_TOLD.has(name) || allowed?.(name) === true;
  };
}

function compileBody(field: string, settings: BufferSettings | undefined): BodyNeed | undefined {
  if (settings === undefined) return undefined;
  const { maxRequestBytes: maxBytes, allowPartialMessage: allowPartial } = settings;
  if (maxBytes === 0) throw invalid(at(field, "max_request_bytes"), "must be above zero");
  return { maxBytes, allowPartial };
}
