import { z } from "zod";
import { duration, positiveDuration } from "../schema/durations.js";
import { int32, uint32 } from "../schema/numbers.js";
import { atLeastOne, struct } from "../schema/struct.js";

const tcp = struct({
  maxConnections: int32.exactOptional(),
  connectTimeout: positiveDuration.exactOptional(),
  tcpKeepalive: struct({
    probes: uint32.exactOptional(),
    time: positiveDuration.exactOptional(),
    interval: positiveDuration.exactOptional(),
  }).exactOptional(),
  maxConnectionDuration: positiveDuration.exactOptional(),
  idleTimeout: duration.exactOptional(),
});

const http = struct({
  http1MaxPendingRequests: int32.exactOptional(),
  http2MaxRequests: int32.exactOptional(),
  maxRequestsPerConnection: int32.exactOptional(),
  maxRetries: int32.exactOptional(),
  idleTimeout: positiveDuration.exactOptional(),
  h2UpgradePolicy: z.enum(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]).exactOptional(),
  useClientProtocol: z.boolean().exactOptional(),
  maxConcurrentStreams: int32.exactOptional(),
  http2KeepAlive: struct({
    interval: positiveDuration.exactOptional(),
    timeout: positiveDuration.exactOptional(),
  }).exactOptional(),
});

/** Istio's ConnectionPoolSettings. */
export const connectionPool = struct(
  { tcp: tcp.exactOptional(), http: http.exactOptional() },
  atLeastOne("tcp", "http"),
);
