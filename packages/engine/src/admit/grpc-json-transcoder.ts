import type { Any } from "@bufbuild/protobuf/wkt";
import {
  GrpcJsonTranscoder_UrlUnescapeSpec as UrlUnescape,
  GrpcJsonTranscoderSchema,
  type GrpcJsonTranscoder,
  type GrpcJsonTranscoder_PrintOptions,
} from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import { createTranscoder, type PrintSettings, type TranscoderSettings } from "@tulle/xds/transcoding";
import type { AdmissionStep } from "../contract.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { FilterKind } from "./filter-kind.js";
import { GrpcJsonStep } from "./grpc-json-step.js";

/** `envoy.filters.http.grpc_json_transcoder`: calls by HTTP with JSON become gRPC, as `google.api.http` maps them. */
export const grpcJsonTranscoderKind: FilterKind = {
  type: GrpcJsonTranscoderSchema.typeName,
  routeType: GrpcJsonTranscoderSchema.typeName,
  compile,
  compileRoute: compile,
};

/** As a gRPC message, unless the configuration says otherwise. */
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;

/** Undefined: without services the filter does nothing. */
function compile(field: string, any: Any): AdmissionStep | undefined {
  const config = unpack(field, any, GrpcJsonTranscoderSchema);
  refuseUnsupported(field, config);
  if (config.services.length === 0) return undefined;
  const transcoder = createTranscoder(settingsOf(config));
  if (typeof transcoder === "string") throw invalid(field, transcoder);
  const validation = config.requestValidationOptions;
  return new GrpcJsonStep({
    transcoder,
    reroutes: !config.matchIncomingRequestRoute,
    refusesUnknownMethods: validation?.rejectUnknownMethod ?? false,
    refusesUnknownParameters: validation?.rejectUnknownQueryParameters ?? false,
    maxRequestBytes: config.maxRequestBodySize ?? DEFAULT_MAX_BYTES,
    maxResponseBytes: config.maxResponseBodySize ?? DEFAULT_MAX_BYTES,
    describesErrors: config.convertGrpcStatus,
  });
}

function refuseUnsupported(field: string, config: GrpcJsonTranscoder): void {
  if (config.descriptorSet.case === "protoDescriptor")
    throw invalid(at(field, "proto_descriptor"), "files are not read: use proto_descriptor_bin");
  if (config.caseInsensitiveEnumParsing)
    throw invalid(at(field, "case_insensitive_enum_parsing"), "is not supported");
  if (config.captureUnknownQueryParameters)
    throw invalid(at(field, "capture_unknown_query_parameters"), "is not supported");
}

function settingsOf(config: GrpcJsonTranscoder): TranscoderSettings {
  const { descriptorSet } = config;
  return {
    descriptorSet: descriptorSet.case === "protoDescriptorBin" ? descriptorSet.value : new Uint8Array(),
    services: config.services,
    autoMapping: config.autoMapping,
    ignoredQueryParameters: config.ignoredQueryParameters,
    ignoreUnknownQueryParameters: config.ignoreUnknownQueryParameters,
    queryPlusIsBlank: config.queryParamUnescapePlus,
    matchesOtherVerbs: config.matchUnregisteredCustomVerb,
    refusesCollisions: config.requestValidationOptions?.rejectBindingBodyFieldCollisions ?? false,
    kept: KEPT[config.urlUnescapeSpec] ?? "reserved",
    print: printSettings(config.printOptions),
  };
}

const KEPT: Readonly<Record<number, TranscoderSettings["kept"]>> = {
  [UrlUnescape.ALL_CHARACTERS_EXCEPT_RESERVED]: "reserved",
  [UrlUnescape.ALL_CHARACTERS_EXCEPT_SLASH]: "slash",
  [UrlUnescape.ALL_CHARACTERS]: "nothing",
};

function printSettings(options: GrpcJsonTranscoder_PrintOptions | undefined): PrintSettings {
  return {
    whitespace: options?.addWhitespace ?? false,
    defaults: options?.alwaysPrintPrimitiveFields ?? false,
    enumsAsNumbers: options?.alwaysPrintEnumsAsInts ?? false,
    protoFieldNames: options?.preserveProtoFieldNames ?? false,
    stream: options?.streamNewlineDelimited === true ? "lines" : "array",
  };
}
