import { positiveDuration } from "../schema/durations.js";
import { percent, statusCode } from "../schema/numbers.js";
import { stringThat } from "../schema/strings.js";
import { atLeastOne, exactlyOne, struct, type Rule } from "../schema/struct.js";
import { z } from "zod";
import { GRPC_STATUS_CODES } from "./grpc-status.js";

const isGrpcStatus = (value: string) => GRPC_STATUS_CODES.has(value) || /^(?:\d|1[0-6])$/.test(value);

/** A field that Istio's API has and no proxy implements: refused, so that nobody relies on it. */
function unsupported(field: string, instead: string): Rule {
  return (fields, report) => {
    if (fields[field] !== undefined) report([field], `is not supported; use ${instead}`);
  };
}

const percentage = struct({ value: percent }).exactOptional();

const delay = struct(
  { fixedDelay: positiveDuration, exponentialDelay: z.unknown().optional(), percentage },
  unsupported("exponentialDelay", "fixedDelay"),
);

const abort = struct(
  {
    httpStatus: statusCode.exactOptional(),
    grpcStatus: stringThat(
      isGrpcStatus,
      'the name of a gRPC status such as "UNAVAILABLE", or its number',
    ).exactOptional(),
    http2Error: z.unknown().optional(),
    percentage,
  },
  exactlyOne("httpStatus", "grpcStatus"),
  unsupported("http2Error", "httpStatus or grpcStatus"),
);

export const fault = struct(
  { delay: delay.exactOptional(), abort: abort.exactOptional() },
  atLeastOne("delay", "abort"),
);
