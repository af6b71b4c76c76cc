import type { Http2Limits, Http2Options } from "@tulle/http";

/** Windows for bulk data; what a stream may hold in memory when its other side stands still. */
const WINDOWS = { streamWindowBytes: 262_144, connectionWindowBytes: 4_194_304 };

/**
 * What HTTP/1.1 let in must pass the next hop, with the fields that sidecars add and the 32 bytes that HTTP/2 counts for
 * each: a head of 60 KiB, even if it is one field.
 */
const HEADS: Partial<Http2Limits> = {
  maxHeaderListBytes: 81_920,
  maxHeaderCount: 128,
  maxFieldBytes: 61_440,
};

/**
 * From another sidecar, or the application beside us. One connection carries what many would: requests of one read in
 * one turn, and resets when a slow service makes all its callers give up at once.
 */
export const TRUSTED_CLIENT: Http2Options = {
  ...WINDOWS,
  hostField: true,
  limits: { ...HEADS, requestsPerTurn: 64, maxResetsPerSecond: 10_000 },
};

/** From anybody: plaintext on the inbound listener. */
export const UNKNOWN_CLIENT: Http2Options = { hostField: true, limits: { maxConcurrentStreams: 100 } };

/** To sidecars and applications. */
export const TO_SERVER: Http2Options = { ...WINDOWS, limits: HEADS };
