import type { JsonObject } from "@bufbuild/protobuf";
import type { HeaderList } from "@tulle/http";
import type { HeaderMutation } from "../contract.js";
import type { Way } from "../route/way.js";
import type { NeedBase } from "./contract.js";

/** What a request is counted by: keys with values. */
export type RateLimitDescriptor = readonly (readonly [key: string, value: string])[];

/** Asks a rate limit service whether a request is beyond a limit (`envoy.service.ratelimit.v3`). */
export interface RateLimitNeed extends NeedBase {
  readonly kind: "rate-limit";
  /** For metrics. */
  readonly name: string;
  readonly way: Way;
  readonly authority: string;
  /** Further fields of the call. */
  readonly metadata: HeaderList;
  readonly timeoutMs: number;
  readonly domain: string;
  /** At least one. */
  readonly descriptors: readonly RateLimitDescriptor[];
}

/** What a rate limit service said. */
export interface RateLimitFact {
  readonly kind: "rate-limit";
  readonly over: boolean;
  readonly request: readonly HeaderMutation[];
  readonly response: readonly HeaderMutation[];
  /** `x-ratelimit-limit` and its like, where the service said enough. */
  readonly limits: HeaderList;
  /** Of a refusal. */
  readonly body: string;
  readonly metadata: JsonObject | undefined;
}
