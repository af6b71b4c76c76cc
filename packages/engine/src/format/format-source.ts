import type { HeaderList } from "@tulle/http";
import type { RequestMetadata } from "../contract.js";

/** What a log line or a header may show of one exchange. Strings are "" and numbers -1 where there is nothing (yet). */
export interface FormatSource {
  /** Wall clock, milliseconds since the epoch. */
  readonly startTimeMs: number;
  readonly durationMs: number;
  readonly method: string;
  /** As received, with its query. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly protocol: string;
  readonly requestHeaders: HeaderList;
  /** As sent downstream. */
  readonly responseHeaders: HeaderList;
  /** 0 = no response was sent. */
  readonly responseCode: number;
  readonly responseFlags: string;
  readonly responseCodeDetails: string;
  readonly connectionTerminationDetails: string;
  readonly upstreamTransportFailureReason: string;
  /** Body bytes from the client. */
  readonly bytesReceived: number;
  /** Body bytes to the client. */
  readonly bytesSent: number;
  readonly attemptCount: number;
  readonly upstreamHost: string;
  readonly upstreamCluster: string;
  readonly upstreamLocalAddress: string;
  readonly downstreamLocalAddress: string;
  readonly downstreamRemoteAddress: string;
  readonly downstreamPeerUriSan: string;
  readonly requestedServerName: string;
  readonly routeName: string;
  readonly requestId: string;
  /** What filters found out about the request; absent = nothing. */
  readonly metadata?: RequestMetadata | undefined;
}

/** Reads one thing of an exchange as text; "" = there is none. */
export type Reader = (source: FormatSource) => string;
