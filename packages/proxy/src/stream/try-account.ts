import type { Clock } from "@tulle/base";
import {
  offerProbe,
  readLoadReport,
  takeProbe,
  type ClusterPart,
  type EndpointPart,
  type LoadTable,
} from "@tulle/engine";
import { NO_GRPC_STATUS, readGrpcStatus, type HeaderList, type ResponseHead } from "@tulle/http";

import type { OutlierRecorder } from "../health/outlier-recorder.js";
import type { TryLog, TryOutcome } from "../records/try-log.js";

/**
 * One try's entry in the load table: what balancing, circuit breaking and outlier detection see of it; and in the log of
 * tries. Reused, one try after the other.
 */
export class TryAccount {
  readonly #load: LoadTable;
  readonly #clock: Clock;
  readonly #log: TryLog;
  /** Its place in the log. */
  #number = 0;
  readonly #outliers: OutlierRecorder;
  #cluster: ClusterPart | undefined;
  #endpoint: EndpointPart | undefined;
  #isRetry = false;
  #startMs = 0;
  #observed = false;
  /** It decides about an endpoint on probation, and nothing is known yet. */
  #probe = false;

  constructor(load: LoadTable, clock: Clock, log: TryLog, outliers: OutlierRecorder) {
    this.#load = load;
    this.#clock = clock;
    this.#log = log;
    this.#outliers = outliers;
  }

  /** Since the try began. */
  get elapsedMs(): number {
    return this.#clock.monotonic() - this.#startMs;
  }

  begin(cluster: ClusterPart, endpoint: EndpointPart, isRetry: boolean): void {
    this.#cluster = cluster;
    this.#endpoint = endpoint;
    this.#isRetry = isRetry;
    this.#observed = false;
    this.#probe = takeProbe(this.#load, cluster, endpoint);
    this.#load.begin(cluster.slot, endpoint.slot, isRetry);
    this.#startMs = this.#clock.monotonic();
    this.#number = this.#log.begin(endpoint.key, this.#startMs);
  }

  /** What became of the try, for people. `status`: of a response, else 0. */
  note(outcome: TryOutcome, status: number, detail: string): void {
    if (this.#endpoint === undefined) return;
    this.#log.note(this.#number, outcome, status, detail, this.#clock.monotonic());
  }

  /** Tells what the try says about its endpoint. The first word counts: how long a tunnel lives says nothing. */
  observe(failed: boolean): void {
    if (this.#endpoint === undefined || this.#observed) return;
    this.#observed = true;
    const now = this.#clock.monotonic();
    this.#load.observe(this.#endpoint.slot, now - this.#startMs, failed, now);
  }

  /** The endpoint answered. */
  answered(head: ResponseHead, grpc: boolean): void {
    const cluster = this.#cluster;
    if (cluster === undefined || this.#endpoint === undefined) return;
    if (cluster.reportGapMs !== undefined) this.#readReport(cluster.reportGapMs, head.headers);
    if (cluster.outlier === undefined && cluster.healthCheck === undefined) return;
    this.#outliers.answered(cluster, this.#endpoint, head.status, head.headers, grpc, this.#probe);
    // Of a gRPC call the trailers may have the last word.
    if (!grpc || head.status !== 200 || readGrpcStatus(head.headers) !== NO_GRPC_STATUS) this.#probe = false;
  }

  /** The end of an answer. */
  ended(trailers: HeaderList): void {
    const gapMs = this.#cluster?.reportGapMs;
    if (gapMs !== undefined && trailers.length > 0) this.#readReport(gapMs, trailers);
  }

  #readReport(gapMs: number, fields: HeaderList): void {
    const report = this.#endpoint && readLoadReport(fields);
    if (report === undefined || this.#endpoint === undefined) return;
    this.#load.reports.note(this.#endpoint.slot, report, this.#clock.monotonic(), gapMs);
  }

  /** The trailers of a gRPC call whose head had no status. */
  grpcEnded(trailers: HeaderList): void {
    if (this.#cluster?.outlier === undefined || this.#endpoint === undefined) return;
    this.#outliers.trailers(this.#cluster, this.#endpoint, trailers, this.#probe);
    this.#probe = false;
  }

  /** No connection, a broken one, or no answer in time. */
  unreached(timedOut: boolean): void {
    if (this.#cluster?.outlier === undefined || this.#endpoint === undefined) return;
    this.#outliers.unreached(this.#cluster, this.#endpoint, timedOut, this.#probe);
    this.#probe = false;
  }

  /** Nothing when none is under way. */
  end(failed: boolean): void {
    const cluster = this.#cluster;
    const endpoint = this.#endpoint;
    if (cluster === undefined || endpoint === undefined) return;
    this.#load.end(cluster.slot, endpoint.slot, this.#isRetry);
    this.observe(failed);
    if (this.#probe) offerProbe(this.#load, endpoint.slot);
    this.#probe = false;
    if (!this.#log.isNoted(this.#number)) this.note("abandoned", 0, "");
    this.#cluster = undefined;
    this.#endpoint = undefined;
  }
}
