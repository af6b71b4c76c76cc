import type { PolicyTargetReference } from "../authorization-policy/type.js";

/** Which HTTP requests with JSON become calls of gRPC services, as `google.api.http` in their descriptors maps them. */
export interface GrpcJsonTranscoderSpec {
  /**
   * Sidecars in front of services, and gateways, with these labels carry it out, in the object's namespace; none: all
   * sidecars of the namespace.
   */
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  /** Services, or Gateways of Gateway API, of the object's namespace. */
  readonly targetRefs?: readonly PolicyTargetReference[];
  /** Full names: `library.v1.Library`. */
  readonly services: readonly string[];
  /** A descriptor set with all imports (`protoc --include_imports --descriptor_set_out`). */
  readonly descriptors: TranscoderDescriptors;
  /** Methods without `google.api.http` are called by `POST /package.Service/Method`. Default false. */
  readonly autoMapping?: boolean;
  readonly ignoredQueryParameters?: readonly string[];
  /** Default false: a request with a parameter that is no field goes by as it is. */
  readonly ignoreUnknownQueryParameters?: boolean;
  /** `+` in a query is a blank. Default false. */
  readonly queryParamUnescapePlus?: boolean;
  /** What of variables with several segments is decoded. Default ALL_CHARACTERS_EXCEPT_RESERVED. */
  readonly urlUnescapeSpec?: UrlUnescapeSpec;
  /** What follows the last colon of a path is a verb even where no method has it. Default false. */
  readonly matchUnregisteredCustomVerb?: boolean;
  readonly printOptions?: TranscoderPrintOptions;
  readonly requestValidationOptions?: TranscoderValidation;
  /** Of a body, bytes; longer ones are refused with 413. Default 4 MiB. */
  readonly maxRequestBodySize?: number;
  /** Of an answer, or of one message of a stream, bytes; longer ones are answered with 500. Default 4 MiB. */
  readonly maxResponseBodySize?: number;
}

export type UrlUnescapeSpec =
  | "ALL_CHARACTERS_EXCEPT_RESERVED"
  | "ALL_CHARACTERS_EXCEPT_SLASH"
  | "ALL_CHARACTERS";

/** Either of them. */
export interface TranscoderDescriptors {
  /** In base64. */
  readonly inline?: string;
  /** `binaryData` of a ConfigMap of the object's namespace. */
  readonly configMap?: { readonly name: string; readonly key: string };
}

/** How answers are written; all false unless set. */
export interface TranscoderPrintOptions {
  readonly addWhitespace?: boolean;
  readonly alwaysPrintPrimitiveFields?: boolean;
  readonly alwaysPrintEnumsAsInts?: boolean;
  readonly preserveProtoFieldNames?: boolean;
  /** The messages of a stream are a line each instead of an array. */
  readonly streamNewlineDelimited?: boolean;
}

export interface TranscoderValidation {
  /** Requests that are no call of its services are answered with 404. Default false: they go by. */
  readonly rejectUnknownMethod?: boolean;
  /** Requests with a parameter that is no field are answered with 400. Default false: they go by. */
  readonly rejectUnknownQueryParameters?: boolean;
  /** Requests whose body says otherwise than path or query are answered with 400. Default true. */
  readonly rejectBindingBodyFieldCollisions?: boolean;
}
