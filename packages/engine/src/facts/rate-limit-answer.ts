import { getTextEncoding } from "@bufbuild/protobuf/wire";
import type { HeaderList } from "@tulle/http";
import type { HeaderValue } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  RateLimitResponse_Code as Code,
  RateLimitResponse_RateLimit_Unit as Unit,
  type RateLimitResponse,
  type RateLimitResponse_DescriptorStatus as Status,
} from "@tulle/xds/gen/envoy/service/ratelimit/v3/rls_pb.js";
import type { HeaderMutation } from "../contract.js";
import type { FactFailure } from "./contract.js";
import { DEFAULT_MUTATION_RULES, fieldName, fieldValue } from "./mutation-rules.js";
import type { RateLimitFact } from "./rate-limit.js";

/**
 * What a `RateLimitResponse` comes to. Fields that it may not alter are left out; names and values that no message can carry make it
 * invalid.
 */
export function factOfRateLimit(response: RateLimitResponse): RateLimitFact | FactFailure {
  const { overallCode, statuses, rawBody } = response;
  if (overallCode !== Code.OK && overallCode !== Code.OVER_LIMIT)
    return invalid("it says neither that the request is within its limits nor that it is beyond");
  const request = mutationsOf(response.requestHeadersToAdd);
  const toClient = mutationsOf(response.responseHeadersToAdd);
  if (typeof request === "string") return invalid(request);
  if (typeof toClient === "string") return invalid(toClient);
  return {
    kind: "rate-limit",
    over: overallCode === Code.OVER_LIMIT,
    request,
    response: toClient,
    limits: limitFields(statuses),
    body: textOf(rawBody),
    metadata: response.dynamicMetadata,
  };
}

function invalid(detail: string): FactFailure {
  return { kind: "failed", reason: "invalid", detail };
}

/** Or why they cannot be carried out. */
function mutationsOf(headers: readonly HeaderValue[]): readonly HeaderMutation[] | string {
  const made: HeaderMutation[] = [];
  for (const { key, value, rawValue } of headers) {
    const name = fieldName(key);
    if (name === undefined) return `${JSON.stringify(key.slice(0, 100))} is not a field's name`;
    const text = fieldValue(value, rawValue);
    if (text === undefined) return `the value of ${name} cannot be a field's`;
    if (DEFAULT_MUTATION_RULES.allows(name)) made.push({ op: "append", name, value: text });
  }
  return made;
}

/** Of the limit that is nearest, and of all of them what they are (draft-ietf-httpapi-ratelimit-headers-03). */
function limitFields(statuses: readonly Status[]): HeaderList {
  let nearest: Status | undefined;
  let policies = "";
  for (const status of statuses) {
    const { currentLimit } = status;
    if (currentLimit === undefined) continue;
    if (nearest === undefined || status.limitRemaining < nearest.limitRemaining) nearest = status;
    const seconds = SECONDS.get(currentLimit.unit);
    if (seconds === undefined) continue;
    policies += `, ${currentLimit.requestsPerUnit};w=${seconds}${nameOf(currentLimit.name)}`;
  }
  if (nearest?.currentLimit === undefined) return [];
  const { seconds = 0n, nanos = 0 } = nearest.durationUntilReset ?? {};
  return [
    "x-ratelimit-limit",
    `${nearest.currentLimit.requestsPerUnit}${policies}`,
    "x-ratelimit-remaining",
    String(nearest.limitRemaining),
    "x-ratelimit-reset",
    String(seconds + (nanos > 0 ? 1n : 0n)),
  ];
}

/** Only a name that can stand in quotes. */
function nameOf(name: string): string {
  return /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(name) ? `;name="${name}"` : "";
}

function textOf(bytes: Uint8Array): string {
  try {
    return getTextEncoding().decodeUtf8(bytes);
  } catch {
    return "";
  }
}

const SECONDS: ReadonlyMap<Unit, number> = new Map([
  [Unit.SECOND, 1],
  [Unit.MINUTE, 60],
  [Unit.HOUR, 3600],
  [Unit.DAY, 86_400],
  [Unit.MONTH, 2_592_000],
  [Unit.YEAR, 31_536_000],
]);
