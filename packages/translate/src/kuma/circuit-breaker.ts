import {
  percentOf,
  type MeshCircuitBreaker,
  type MeshOutlierDetection,
  type PassiveHealthCheck,
} from "@tulle/api";
import type { EffectivePolicy, OutlierSettings } from "../destination-rules.js";

/** Envoy's defaults of detectors that are named without a word, and of how many endpoints may be taken out. */
const CONSECUTIVE = 5;
const FAILURE_THRESHOLD = 85;
const MAX_EJECTION_PERCENT = 10;

/** Limits and outlier detection by MeshCircuitBreakers. */
export function breakerSettings({
  connectionLimits,
  outlierDetection,
}: MeshCircuitBreaker): Pick<EffectivePolicy, "connectionPool" | "outlierDetection" | "balancing"> {
  const { maxConnections, maxConnectionPools, maxPendingRequests, maxRetries, maxRequests } =
    connectionLimits ?? {};
  const http = {
    ...(maxPendingRequests !== undefined && { http1MaxPendingRequests: maxPendingRequests }),
    ...(maxRequests !== undefined && { http2MaxRequests: maxRequests }),
    ...(maxRetries !== undefined && { maxRetries }),
  };
  const connectionPool = {
    ...(maxConnections !== undefined && { tcp: { maxConnections } }),
    ...(Object.keys(http).length > 0 && { http }),
  };
  return {
    ...(Object.keys(connectionPool).length > 0 && { connectionPool }),
    ...(maxConnectionPools !== undefined && { balancing: { connections: { maxPools: maxConnectionPools } } }),
    ...(outlierDetection !== undefined && { outlierDetection: outliersOf(outlierDetection) }),
  };
}

function outliersOf(settings: MeshOutlierDetection): OutlierSettings {
  if (settings.disabled === true) return { consecutive5xxErrors: 0 };
  const { healthyPanicThreshold } = settings;
  return {
    ...(healthyPanicThreshold !== undefined && { minHealthPercent: percentOf(healthyPanicThreshold) }),
    passive: passiveOf(settings),
  };
}

function passiveOf(settings: MeshOutlierDetection): PassiveHealthCheck {
  const { interval, baseEjectionTime, splitExternalAndLocalErrors, detectors = {} } = settings;
  const { totalFailures, gatewayFailures, localOriginFailures, successRate, failurePercentage } = detectors;
  const splits = splitExternalAndLocalErrors === true && localOriginFailures !== undefined;
  return {
    ...(interval !== undefined && { interval }),
    ...(baseEjectionTime !== undefined && { baseEjectionTime }),
    maxEjectionPercent: settings.maxEjectionPercent ?? MAX_EJECTION_PERCENT,
    ...(totalFailures && { consecutive5xxErrors: totalFailures.consecutive ?? CONSECUTIVE }),
    ...(gatewayFailures && { consecutiveGatewayErrors: gatewayFailures.consecutive ?? CONSECUTIVE }),
    ...(splits && { consecutiveLocalOriginFailures: localOriginFailures.consecutive ?? CONSECUTIVE }),
    ...(successRate && {
      successRate: {
        ...volumeOf(successRate),
        ...(successRate.standardDeviationFactor !== undefined && {
          stdevFactor: Number(successRate.standardDeviationFactor),
        }),
      },
    }),
    ...(failurePercentage && {
      failurePercentage: {
        // Envoy's.
        minimumHosts: 5,
        requestVolume: 50,
        ...volumeOf(failurePercentage),
        threshold: failurePercentage.threshold ?? FAILURE_THRESHOLD,
      },
    }),
  };
}

interface Volume {
  readonly minimumHosts?: number;
  readonly requestVolume?: number;
}

function volumeOf({ minimumHosts, requestVolume }: Volume): Volume {
  return {
    ...(minimumHosts !== undefined && { minimumHosts }),
    ...(requestVolume !== undefined && { requestVolume }),
  };
}
