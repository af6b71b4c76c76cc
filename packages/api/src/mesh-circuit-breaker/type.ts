import type { KumaOutboundPolicySpec, KumaPercentage } from "../kuma/type.js";

/** Limits of calls, and who is taken out for a while, in Kuma's vocabulary (`MeshCircuitBreaker`). Everything here is valid. */
export type MeshCircuitBreakerSpec = KumaOutboundPolicySpec<MeshCircuitBreaker>;

export interface MeshCircuitBreaker {
  readonly connectionLimits?: {
    readonly maxConnections?: number;
    readonly maxConnectionPools?: number;
    readonly maxPendingRequests?: number;
    readonly maxRetries?: number;
    readonly maxRequests?: number;
  };
  readonly outlierDetection?: MeshOutlierDetection;
}

export interface MeshOutlierDetection {
  readonly disabled?: boolean;
  readonly interval?: string;
  readonly baseEjectionTime?: string;
  readonly maxEjectionPercent?: number;
  readonly splitExternalAndLocalErrors?: boolean;
  /** Live endpoints, percent, below which all are used. */
  readonly healthyPanicThreshold?: KumaPercentage;
  /** What is not named is off. */
  readonly detectors?: {
    /** Default 5, of each. */
    readonly totalFailures?: { readonly consecutive?: number };
    readonly gatewayFailures?: { readonly consecutive?: number };
    /** With `splitExternalAndLocalErrors`. */
    readonly localOriginFailures?: { readonly consecutive?: number };
    readonly successRate?: {
      readonly minimumHosts?: number;
      readonly requestVolume?: number;
      /** Default 1.9. */
      readonly standardDeviationFactor?: number | string;
    };
    readonly failurePercentage?: {
      readonly minimumHosts?: number;
      readonly requestVolume?: number;
      /** Default 85. */
      readonly threshold?: number;
    };
  };
}
