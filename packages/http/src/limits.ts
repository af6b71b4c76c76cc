import type { Http1Limits } from "./contract.js";

/** Limits for peers inside the mesh. An ingress passes smaller ones (16 KiB of head). */
export const DEFAULT_HTTP1_LIMITS: Http1Limits = Object.freeze({
  maxHeadBytes: 61_440,
  maxHeaderCount: 100,
  maxChunkLineBytes: 256,
  maxInterimResponses: 5,
});

/** `limits` completed with the defaults. */
export function completeLimits(limits: Partial<Http1Limits> = {}): Http1Limits {
  return {
    maxHeadBytes: limits.maxHeadBytes ?? DEFAULT_HTTP1_LIMITS.maxHeadBytes,
    maxHeaderCount: limits.maxHeaderCount ?? DEFAULT_HTTP1_LIMITS.maxHeaderCount,
    maxChunkLineBytes: limits.maxChunkLineBytes ?? DEFAULT_HTTP1_LIMITS.maxChunkLineBytes,
    maxInterimResponses: limits.maxInterimResponses ?? DEFAULT_HTTP1_LIMITS.maxInterimResponses,
  };
}
