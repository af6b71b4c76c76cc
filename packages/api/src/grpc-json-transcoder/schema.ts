import { z } from "zod";
import { targetReference } from "../authorization-policy/targets.js";
import { base64Size, isBase64 } from "../schema/base64.js";
import { DATA_KEY, isDataKey, MAX_DATA_BYTES } from "../schema/data-keys.js";
import { matchLabelsSelector } from "../schema/labels.js";
import { integer } from "../schema/numbers.js";
import { nonEmpty, stringThat } from "../schema/strings.js";
import { atMostOne, exactlyOne, struct } from "../schema/struct.js";
import type { GrpcJsonTranscoderSpec } from "./type.js";

const MAX_BODY_BYTES = 64 * 1024 * 1024;

const serviceName = stringThat(
  (value) => value.length <= 512 && /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/.test(value),
  'the full name of a gRPC service, such as "library.v1.Library"',
);

const inline = stringThat(
  (value) => value !== "" && isBase64(value) && base64Size(value) <= MAX_DATA_BYTES,
  "a descriptor set in base64, of at most 1 MiB",
);

const descriptors = struct(
  {
    inline: inline.exactOptional(),
    configMap: struct({ name: nonEmpty, key: stringThat(isDataKey, DATA_KEY) }).exactOptional(),
  },
  exactlyOne("inline", "configMap"),
);

const flag = z.boolean().exactOptional();
const bodySize = integer(1, MAX_BODY_BYTES, "a number of bytes, at most 64 MiB").exactOptional();

/** Every field of a GrpcJsonTranscoder. */
export const grpcJsonTranscoderSpec: z.ZodType<GrpcJsonTranscoderSpec> = struct(
  {
    selector: matchLabelsSelector.exactOptional(),
    targetRefs: z
      .array(targetReference)
      .min(1, "must not be empty")
      .max(16, "must have at most 16 items")
      .exactOptional(),
    services: z
      .array(serviceName)
      .min(1, "must have at least one service")
      .max(64, "must have at most 64 services"),
    descriptors,
    autoMapping: flag,
    ignoredQueryParameters: z.array(nonEmpty).max(64, "must have at most 64 names").exactOptional(),
    ignoreUnknownQueryParameters: flag,
    queryParamUnescapePlus: flag,
    urlUnescapeSpec: z
      .enum(["ALL_CHARACTERS_EXCEPT_RESERVED", "ALL_CHARACTERS_EXCEPT_SLASH", "ALL_CHARACTERS"])
      .exactOptional(),
    matchUnregisteredCustomVerb: flag,
    printOptions: struct({
      addWhitespace: flag,
      alwaysPrintPrimitiveFields: flag,
      alwaysPrintEnumsAsInts: flag,
      preserveProtoFieldNames: flag,
      streamNewlineDelimited: flag,
    }).exactOptional(),
    requestValidationOptions: struct({
      rejectUnknownMethod: flag,
      rejectUnknownQueryParameters: flag,
      rejectBindingBodyFieldCollisions: flag,
    }).exactOptional(),
    maxRequestBodySize: bodySize,
    maxResponseBodySize: bodySize,
  },
  atMostOne("selector", "targetRefs"),
);
