import type { ListenTcp } from "../listener/tcp-listener.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { OverloadState } from "./overload-manager.js";

/** Opens listeners that close new connections at once while there is no memory for them. */
export function refusingUnderOverload(
  listen: ListenTcp,
  overload: OverloadState,
  metrics: MetricsRegistry,
): ListenTcp {
  const refused = metrics
    .counter(
      "envoy_listener_downstream_cx_overload_reject",
      "Connections that were refused because of overload.",
    )
    .with([]);
  return (options) =>
    listen({
      ...options,
      onConnection: (socket) => {
        if (!overload.refusesConnections) {
          options.onConnection(socket);
          return;
        }
        refused.inc();
        socket.destroy();
      },
    });
}
