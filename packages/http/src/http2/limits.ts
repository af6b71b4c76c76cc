import { MeshError } from "@tulle/base";
import type { Http2Limits, Http2Options } from "./contract.js";

/** Limits for peers inside the mesh. An ingress passes smaller ones (100 streams, 16 KiB of head). */
export const DEFAULT_HTTP2_LIMITS: Http2Limits = Object.freeze({
  maxConcurrentStreams: 1024,
  maxHeaderListBytes: 61_440,
  maxHeaderCount: 100,
  maxCookieCrumbs: 200,
  maxFieldBytes: 32_768,
  maxContinuationFrames: 16,
  maxEmptyFrames: 1,
  maxSettingsEntries: 32,
  maxInterimResponses: 5,
  maxPendingControlFrames: 1000,
  maxPendingFrames: 10_000,
  maxControlFramesPerSecond: 1000,
  maxPriorityFramesPerStream: 100,
  maxWindowUpdatesPerDataFrame: 10,
  maxResetsPerSecond: 200,
  requestsPerTurn: 16,
  framesPerTurn: 512,
  prefaceTimeoutMs: 10_000,
  headerTimeoutMs: 10_000,
  settingsTimeoutMs: 10_000,
  stallTimeoutMs: 60_000,
});

/** Options with every default filled in. */
export interface CompleteOptions {
  readonly limits: Http2Limits;
  readonly headerTableBytes: number;
  readonly encoderTableBytes: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxFrameBytes: number;
  readonly maxOutputBytes: number;
  readonly enableConnectProtocol: boolean;
  readonly hostField: boolean;
}

/** Flow-control windows end here (RFC 9113 section 6.9.1). */
export const MAX_WINDOW = 0x7fff_ffff;
/** Both windows before SETTINGS say otherwise (section 6.9.2). */
export const INITIAL_WINDOW = 65_535;
/** Largest frame that everyone accepts (section 4.2). */
export const INITIAL_FRAME_BYTES = 16_384;
/** Dynamic tables before SETTINGS say otherwise (section 6.5.2). */
export const INITIAL_TABLE_BYTES = 4096;

/** `options` completed with the defaults. Throws `HTTP2_BAD_OPTION` for sizes that the protocol does not have. */
export function completeOptions(options: Http2Options = {}): CompleteOptions {
  const complete: CompleteOptions = {
    limits: { ...DEFAULT_HTTP2_LIMITS, ...options.limits },
    headerTableBytes: options.headerTableBytes ?? INITIAL_TABLE_BYTES,
    encoderTableBytes: options.encoderTableBytes ?? INITIAL_TABLE_BYTES,
    streamWindowBytes: options.streamWindowBytes ?? 65_536,
    connectionWindowBytes: options.connectionWindowBytes ?? 1_048_576,
    maxFrameBytes: options.maxFrameBytes ?? INITIAL_FRAME_BYTES,
    maxOutputBytes: options.maxOutputBytes ?? 65_536,
    enableConnectProtocol: options.enableConnectProtocol ?? true,
    hostField: options.hostField ?? false,
  };
  requireBetween("headerTableBytes", complete.headerTableBytes, 0, 65_536);
  requireBetween("encoderTableBytes", complete.encoderTableBytes, 0, 65_536);
  requireBetween("streamWindowBytes", complete.streamWindowBytes, INITIAL_WINDOW, MAX_WINDOW);
  requireBetween("connectionWindowBytes", complete.connectionWindowBytes, INITIAL_WINDOW, MAX_WINDOW);
  requireBetween("maxFrameBytes", complete.maxFrameBytes, INITIAL_FRAME_BYTES, 0xff_ffff);
  requireBetween("maxOutputBytes", complete.maxOutputBytes, 1024, MAX_WINDOW);
  return complete;
}

function requireBetween(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new MeshError(
    "invalid",
    "HTTP2_BAD_OPTION",
    `${name} must be a whole number from ${low} to ${high}, not ${value}`,
  );
}
