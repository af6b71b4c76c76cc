import type { HttpConnectionManager } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

import type { ChainLimit, ChainLimits } from "./contract.js";
import { durationMs } from "./duration.js";
import { at } from "./invalid.js";

const KIB = 1024;

/**
 * The limits of client connections that a HttpConnectionManager, or its listener (`bufferBytes`), sets; undefined for none. A timeout of 0, which Envoy reads
 * as "never", sets none: every wait here has an end.
 */
export function compileLimits(
  field: string,
  manager: HttpConnectionManager,
  bufferBytes?: number,
): ChainLimits | undefined {
  const { commonHttpProtocolOptions: common, http2ProtocolOptions: http2, maxRequestHeadersKb } = manager;
  const limits: Partial<Record<ChainLimit, number>> = {};
  const set = (value: number | undefined, ...names: ChainLimit[]): void => {
    if (value !== undefined) for (const name of names) limits[name] = value;
  };
  const setTime = (value: number | undefined, ...names: ChainLimit[]): void => {
    if (value !== 0) set(value, ...names);
  };
  const headBytes = maxRequestHeadersKb === undefined ? undefined : maxRequestHeadersKb * KIB;
  set(headBytes, "http1.maxHeadBytes", "http2.maxHeaderListBytes");
  set(common?.maxHeadersCount, "http1.maxHeaderCount", "http2.maxHeaderCount");
  setTime(
    durationMs(at(field, "common_http_protocol_options.idle_timeout"), common?.idleTimeout),
    "connection.idleTimeoutMs",
  );
  setTime(
    durationMs(at(field, "request_headers_timeout"), manager.requestHeadersTimeout),
    "connection.headerTimeoutMs",
    "http2.headerTimeoutMs",
  );
  setTime(
    durationMs(
      at(field, "common_http_protocol_options.max_connection_duration"),
      common?.maxConnectionDuration,
    ),
    "connection.maxDurationMs",
  );
  set(
    durationMs(at(field, "delayed_close_timeout"), manager.delayedCloseTimeout),
    "connection.delayedCloseMs",
  );
  set(bufferBytes, "connection.maxBufferedBytes");
  set(http2?.maxConcurrentStreams, "http2.maxConcurrentStreams");
  set(http2?.initialStreamWindowSize, "http2.streamWindowBytes");
  set(http2?.initialConnectionWindowSize, "http2.connectionWindowBytes");
  set(http2?.hpackTableSize, "http2.headerTableBytes");
  set(http2?.maxOutboundFrames, "http2.maxPendingFrames");
  set(http2?.maxOutboundControlFrames, "http2.maxPendingControlFrames");
  set(http2?.maxConsecutiveInboundFramesWithEmptyPayload, "http2.maxEmptyFrames");
  set(http2?.maxInboundPriorityFramesPerStream, "http2.maxPriorityFramesPerStream");
  set(http2?.maxInboundWindowUpdateFramesPerDataFrameSent, "http2.maxWindowUpdatesPerDataFrame");
  return Object.keys(limits).length === 0 ? undefined : limits;
}
