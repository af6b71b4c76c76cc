import type { Clock, Logger } from "@tulle/base";
import { GrpcStatus } from "@tulle/http";
import type { GrpcServerCall, GrpcServerHandler } from "@tulle/http/socket";
import { rawGrpcServiceDefinition } from "@tulle/xds";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";

import type { Svid, WorkloadIdentity } from "./contract.js";
import { connectControlPlane } from "./control-plane.js";
import { withWorkloadNode, type WorkloadNode } from "./node-identity.js";

/** A stream from a client of the relay; messages stay encoded. */
export type RawServerCall = GrpcServerCall<Uint8Array>;

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
  carry(below: RawServerCall, kind: "sotw" | "delta"): GrpcServerHandler<Uint8Array> | undefined {
    const { identity, controlPlane, trustDomain, node, clock, logger, maxStreams = 64 } = this.#options;
    if (this.#streams >= maxStreams) {
      below.end(GrpcStatus.RESOURCE_EXHAUSTED, `the agent carries ${maxStreams} streams already; close some`);
      return undefined;
    }
    const svid = currentOf(identity);
    if (svid === undefined) {
      below.end(GrpcStatus.UNAVAILABLE, "the workload has no certificate yet; try again");
      return undefined;
    }
    this.#streams++;
    const target = { address: controlPlane.address, rootCertificatePem: svid.trustBundlePem, trustDomain };
    const client = connectControlPlane(target, svid, clock);
    const method = kind === "sotw" ? rawAds.streamAggregatedResources : rawAds.deltaAggregatedResources;
    let over = false;
    const finish = (): void => {
      if (over) return;
      over = true;
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
        if (code !== GrpcStatus.OK) logger.debug("a relayed stream ended", { code, details });
        below.end(code, details);
      },
    });
    let first = true;
    return {
      onMessage: (received) => {
        let bytes = received;
        if (first) {
          first = false;
          try {
            bytes = withWorkloadNode(received, kind, node);
          } catch {
            above.cancel();
            finish();
            below.end(GrpcStatus.INVALID_ARGUMENT, "the first message is not a discovery request");
            return;
          }
        }
        if (!above.write(bytes)) below.pause();
      },
      onEnd: () => above.end(),
      onTaken: () => {
        if (below.waitingBytes === 0) above.resume();
      },
      onGone: () => {
        above.cancel();
        finish();
      },
    };
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
