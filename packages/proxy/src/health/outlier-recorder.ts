import {
  PROBE_FAILED,
  PROBE_PASSED,
  probeAnswered,
  recordAnswer,
  recordConnected,
  recordReached,
  recordUnreached,
  SUSPECT_TOLD,
  type ClusterPart,
  type EndpointPart,
  type LoadTable,
  type OutlierSettings,
} from "@tulle/engine";
import { getHeader, httpStatusOfGrpc, NO_GRPC_STATUS, readGrpcStatus, type HeaderList } from "@tulle/http";

import { toldUpstreamFailure } from "../filters/upstream-failure.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import { IMMEDIATE_FAIL_HEADER } from "./probe.js";

/** An endpoint that stands out, by the rules `bits` of a cluster (`SUSPECT_*`), or by its own word. Plain data: it goes from worker to main thread. */
export interface Suspicion {
  readonly cluster: string;
  readonly slot: number;
  readonly bits: number;
}

/**
 * Counts what becomes of tries and connections, for outlier detection. Does nothing for clusters that have none. Whoever
 * is told of a suspicion decides.
 */
export class OutlierRecorder {
  readonly #load: LoadTable;
  readonly #tls: Pick<WorkloadTls, "svid">;
  readonly #onSuspect: (suspicion: Suspicion) => void;

  constructor(load: LoadTable, tls: Pick<WorkloadTls, "svid">, onSuspect: (suspicion: Suspicion) => void) {
    this.#load = load;
    this.#tls = tls;
    this.#onSuspect = onSuspect;
  }

  /**
   * The head of an answer. Of a gRPC call it counts only when it is all; `trailers` follow otherwise. `probe`, here and below:
   * it decides about an endpoint on probation.
   */
  answered(
    cluster: ClusterPart,
    endpoint: EndpointPart,
    status: number,
    headers: HeaderList,
    grpc: boolean,
    probe: boolean,
  ): void {
    if (cluster.healthCheck !== undefined && getHeader(headers, IMMEDIATE_FAIL_HEADER) !== undefined) {
      this.#suspect(cluster, endpoint.slot, SUSPECT_TOLD);
    }
    const settings = cluster.outlier;
    if (settings === undefined) return;
    const { results } = this.#load;
    // The other sidecar says that it could not reach its application.
    if (status === 503 && endpoint.tls?.kind === "mesh" && toldUpstreamFailure(headers) !== undefined) {
      const bits = recordUnreached(results, settings, endpoint.slot, false);
      this.#suspect(cluster, endpoint.slot, probe ? bits | PROBE_FAILED : bits);
      return;
    }
    recordReached(results, settings, endpoint.slot);
    const grpcStatus = grpc && status === 200 ? readGrpcStatus(headers) : NO_GRPC_STATUS;
    if (grpc && status === 200 && grpcStatus === NO_GRPC_STATUS) return;
    const judged = grpcStatus === NO_GRPC_STATUS ? status : httpStatusOfGrpc(grpcStatus);
    this.#judge(cluster, settings, endpoint.slot, judged, probe);
  }

  /** The end of a gRPC call whose head said nothing of its status. */
  trailers(cluster: ClusterPart, endpoint: EndpointPart, trailers: HeaderList, probe: boolean): void {
    const settings = cluster.outlier;
    if (settings === undefined) return;
    const status = httpStatusOfGrpc(readGrpcStatus(trailers));
    this.#judge(cluster, settings, endpoint.slot, status, probe);
  }

  #judge(
    cluster: ClusterPart,
    settings: OutlierSettings,
    slot: number,
    status: number,
    probe: boolean,
  ): void {
    const bits = recordAnswer(this.#load.results, settings, slot, status);
    this.#suspect(cluster, slot, probe ? bits | probeAnswered(settings, status) : bits);
  }

  /** A connection that carries bytes is made. */
  connected(cluster: ClusterPart, endpoint: EndpointPart, probe: boolean): void {
    if (cluster.outlier === undefined) return;
    recordConnected(this.#load.results, cluster.outlier, endpoint.slot);
    if (probe) this.#suspect(cluster, endpoint.slot, PROBE_PASSED);
  }

  /** There was no connection, or it broke, or the answer took too long. */
  unreached(cluster: ClusterPart, endpoint: EndpointPart, timedOut: boolean, probe: boolean): void {
    const settings = cluster.outlier;
    if (settings === undefined) return;
    // Without a certificate of our own nobody in the mesh can be reached, and nobody there is to blame.
    if (endpoint.tls?.kind === "mesh" && this.#tls.svid === undefined) return;
    const bits = recordUnreached(this.#load.results, settings, endpoint.slot, timedOut);
    this.#suspect(cluster, endpoint.slot, probe ? bits | PROBE_FAILED : bits);
  }

  #suspect(cluster: ClusterPart, slot: number, bits: number): void {
    if (bits !== 0) this.#onSuspect({ cluster: cluster.name, slot, bits });
  }
}
