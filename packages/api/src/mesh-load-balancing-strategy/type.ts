import type { KumaDestination, KumaPercentage, KumaPolicySpec } from "../kuma/type.js";

/** How calls find their endpoint, in Kuma's vocabulary (`MeshLoadBalancingStrategy`). Everything here is valid. */
export interface MeshLoadBalancingStrategySpec extends KumaPolicySpec {
  readonly to?: readonly {
    readonly targetRef: KumaDestination;
    readonly default?: MeshLoadBalancing;
  }[];
}

export interface MeshLoadBalancing {
  readonly localityAwareness?: MeshLocalityAwareness;
  readonly loadBalancer?: MeshLoadBalancer;
  /** What chooses the endpoint under `RingHash` and `Maglev`. */
  readonly hashPolicies?: readonly MeshHashPolicy[];
}

export interface MeshLocalityAwareness {
  /** All endpoints are alike. Default false. */
  readonly disabled?: boolean;
  readonly localZone?: {
    /** Labels; endpoints with the client's value of one get its share. The first that fits an endpoint counts. */
    readonly affinityTags?: readonly { readonly key: string; readonly weight?: number }[];
  };
  /** Default: requests stay in the client's zone. */
  readonly crossZone?: {
    /** In their order. */
    readonly failover?: readonly MeshZoneFailover[];
    /** Live endpoints of a zone, percent, below which the next one is used too. Default 50. */
    readonly failoverThreshold?: { readonly percentage: KumaPercentage };
  };
}

export interface MeshZoneFailover {
  /** Zones of clients; default: all. */
  readonly from?: { readonly zones: readonly string[] };
  readonly to: {
    readonly type: "None" | "Only" | "Any" | "AnyExcept";
    /** With `Only` and `AnyExcept`. */
    readonly zones?: readonly string[];
  };
}

/** No field of another type is there. */
export interface MeshLoadBalancer {
  readonly type: "RoundRobin" | "LeastRequest" | "RingHash" | "Random" | "Maglev";
  readonly roundRobin?: Readonly<Record<string, never>>;
  readonly random?: Readonly<Record<string, never>>;
  readonly leastRequest?: {
    /** At least 2, the default. */
    readonly choiceCount?: number;
    /** Default 1. */
    readonly activeRequestBias?: KumaPercentage;
  };
  readonly ringHash?: {
    readonly hashFunction?: "XXHash" | "MurmurHash2";
    readonly minRingSize?: number;
    readonly maxRingSize?: number;
    readonly hashPolicies?: readonly MeshHashPolicy[];
  };
  readonly maglev?: {
    /** A prime number. */
    readonly tableSize?: number;
    readonly hashPolicies?: readonly MeshHashPolicy[];
  };
}

/** Exactly the field of its type is there. */
export interface MeshHashPolicy {
  readonly type: "Header" | "Cookie" | "Connection" | "SourceIP" | "QueryParameter" | "FilterState";
  /** Nothing after it counts once there is a hash. Default false. */
  readonly terminal?: boolean;
  readonly header?: { readonly name: string };
  readonly cookie?: { readonly name: string; readonly ttl?: string; readonly path?: string };
  readonly connection?: { readonly sourceIP?: boolean };
  readonly queryParameter?: { readonly name: string };
  readonly filterState?: { readonly key: string };
}
