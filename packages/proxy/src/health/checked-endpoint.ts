import type { Disposable, WheelTimer } from "@tulle/base";
import { CheckState, type ClusterPart, type EndpointPart, type HealthCheckSettings } from "@tulle/engine";

import { probedEndpoint, probingCluster, type Probe } from "./prober.js";

/** One endpoint with one check, for all clusters that have both. */
export class CheckedEndpoint {
  readonly key: string;
  readonly endpoint: EndpointPart;
  readonly settings: HealthCheckSettings;
  readonly probe: Probe;
  readonly state = new CheckState();
  /** Clusters that it is checked for, as they are now. */
  clusters: readonly ClusterPart[];
  degraded = false;
  /** Why the last check failed; "" = it did not. */
  reason = "";
  /** Since when it is what it is, milliseconds since the epoch. */
  sinceMs: number;
  running: Disposable | undefined;
  timer: WheelTimer | undefined;

  constructor(
    key: string,
    cluster: ClusterPart,
    endpoint: EndpointPart,
    settings: HealthCheckSettings,
    nowMs: number,
  ) {
    this.key = key;
    this.endpoint = endpoint;
    this.settings = settings;
    this.clusters = [cluster];
    this.sinceMs = nowMs;
    this.probe = {
      endpoint: probedEndpoint(endpoint, settings),
      settings,
      host: hostOf(cluster),
      cluster: probingCluster(cluster, settings),
    };
  }

  get clusterNames(): string[] {
    return this.clusters.map(({ name }) => name);
  }

  stop(): void {
    this.timer?.disarm();
    this.running?.[Symbol.dispose]();
    this.running = undefined;
  }
}

/** The same for an endpoint that is asked the same in the same way. */
export function checkKey(
  cluster: ClusterPart,
  endpoint: EndpointPart,
  settings: HealthCheckSettings,
): string {
  const { key, slot, tls, http2, proxyProtocol = 0 } = endpoint;
  return [key, slot, tls?.key ?? "", http2, proxyProtocol, hostOf(cluster), settings.key].join("|");
}

function hostOf({ name, serviceHost, servicePort }: ClusterPart): string {
  return serviceHost === "" ? name : `${serviceHost}:${servicePort}`;
}
