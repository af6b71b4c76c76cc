import type { Clock, TimerWheel } from "@tulle/base";
import type { LoadTable, Redirection, SnapshotSource } from "@tulle/engine";
import type { HeaderList, ResponseHead } from "@tulle/http";

import type { OutlierRecorder } from "../health/outlier-recorder.js";
import type { Failure } from "../rescue.js";
import type { UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { UpstreamPools } from "../upstream/upstream-pools.js";
import type { ResetReason } from "./contract.js";
import type { EndpointWaits } from "./endpoint-waits.js";
import type { ReplayLimit } from "./request-body.js";

/** What tries share. */
export interface TriesContext extends ReplayLimit {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly pools: UpstreamPools;
  readonly upstreamMetrics: UpstreamMetrics;
  readonly outliers: OutlierRecorder;
  readonly endpointWaits: EndpointWaits;
  /** For timeouts of a request. */
  readonly fineWheel: TimerWheel;
  /** For timeouts of minutes. */
  readonly coarseWheel: TimerWheel;
  /** Own workload, told to the next sidecar. */
  readonly peerMetadata: string;
}

/** Who the tries are made for. After one of those that end it nothing more comes. */
export interface TriesOwner {
  onResponseInterim(head: ResponseHead): void;
  onResponseHead(head: ResponseHead, serviceTimeMs: number): void;
  /** Where an answer sends the request on, if that is to be followed here; undefined = the answer is the client's. */
  redirectOf(head: ResponseHead): Redirection | undefined;
  /** The answer with that redirect, of status `status`, was dropped: takes the request there, by `start` or its own reply. */
  onRedirected(redirection: Redirection, status: number): void;
  /** The upgrade is made: body and end of both sides are those of a tunnel. */
  onSwitched(head: ResponseHead, serviceTimeMs: number): void;
  /** Borrowed bytes. Returns false when the upstream must wait for `resumeResponse`. */
  onResponseBody(chunk: Buffer, start: number, end: number): boolean;
  /** The response is complete. Ends it. */
  onResponseEnd(trailers: HeaderList): void;
  /** The server ended its side of the tunnel, the client's is still open. */
  onTunnelHalfEnd(): void;
  /** Both sides of the tunnel have ended, the client's last. Ends it. */
  onTunnelEnd(): void;
  /** The response, or the tunnel, broke off. Ends it. */
  onResponseCut(reason: ResetReason): void;
  /** There will be no response. Ends it. */
  onTriesFailed(failure: Failure, detail: string): void;
  /** Stops and restarts the flow of the request's body. */
  pauseRequest(): void;
  resumeRequest(): void;
}
