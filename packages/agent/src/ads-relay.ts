import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Clock, Logger } from "@tulle/base";
import { GrpcStatus } from "@tulle/http";
import { rawGrpcServiceDefinition } from "@tulle/xds";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";

import type { Svid, WorkloadIdentity } from "./contract.js";
import { connectControlPlane } from "./control-plane.js";
import { withWorkloadNode, type WorkloadNode } from "./node-identity.js";

/** A stream from a client of the relay; messages stay encoded. */
export type RawServerStream = ServerDuplexStream<Uint8Array, Uint8Array>;

/** `AggregatedDiscoveryService` with messages that stay encoded. */
export const rawAds = rawGrpcServiceDefinition(AggregatedDiscoveryService);

/** Whom a relay speaks for, and to whom. */
export interface AdsRelayOptions {
  readonly identity: WorkloadIdentity;
  readonly controlPlane: {
    /** `host:port` of its TLS port. */
    readonly address: string;
  };
  readonly trustDomain: string;
  /** Told to the control plane in the first message of every stream. */
  readonly node: WorkloadNode;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Streams of configuration at once; default 64. More are refused with RESOURCE_EXHAUSTED. */
  readonly maxStreams?: number;
}

/** Connects each stream from below with one of its own above. */
export class AdsRelay {
  readonly #options: AdsRelayOptions;
  #streams = 0;

  constructor(options: AdsRelayOptions) {
    this.#options = options;
  }

  /** Carries one stream until either side ends it; the other side learns how. */
  carry(below: RawServerStream, kind: "sotw" | "delta"): void {
    // An answer by status is an 'error' event on the call, which ends up here, too.
    below.on("error", () => undefined);
    const { identity, controlPlane, trustDomain, node, clock, logger, maxStreams = 64 } = this.#options;
    if (this.#streams >= maxStreams) {
      refuse(
        below,
        GrpcStatus.RESOURCE_EXHAUSTED,
        `the agent carries ${maxStreams} streams already; close some`,
      );
      return;
    }
    const svid = currentOf(identity);
    if (svid === undefined) {
      refuse(below, GrpcStatus.UNAVAILABLE, "the workload has no certificate yet; try again");
      return;
    }
    this.#streams++;
    const target = { address: controlPlane.address, rootCertificatePem: svid.trustBundlePem, trustDomain };
    const client = connectControlPlane(target, svid, clock);
    const method = kind === "sotw" ? rawAds.streamAggregatedResources : rawAds.deltaAggregatedResources;
    const finish = (): void => {
      this.#streams--;
      client[Symbol.dispose]();
    };
    const above = client.call(method, {
      onMessage: (bytes) => {
        if (!below.write(bytes)) above.pause();
      },
      onWritable: () => below.resume(),
      onEnd: (code, details) => {
        finish();
        if (code === GrpcStatus.OK) below.end();
        else {
          logger.debug("a relayed stream ended", { code, details });
          refuse(below, code, details);
        }
      },
    });
    below.on("drain", () => above.resume());
    below.on("cancelled", () => client[Symbol.dispose]());
    below.on("end", () => above.end());
    let first = true;
    below.on("data", (received: Uint8Array) => {
      let bytes = received;
      if (first) {
        first = false;
        try {
          bytes = withWorkloadNode(received, kind, node);
        } catch {
          above.cancel();
          finish();
          refuse(below, GrpcStatus.INVALID_ARGUMENT, "the first message is not a discovery request");
          return;
        }
      }
      if (!above.write(bytes)) below.pause();
    });
  }
}

/** The current SVID, or undefined before the first. */
export function currentOf(identity: WorkloadIdentity): Svid | undefined {
  try {
    return identity.current();
  } catch {
    return undefined;
  }
}

function refuse(call: RawServerStream, code: number, details: string): void {
  call.emit("error", { code, details });
}
