import type { Clock, Logger, LogLevel } from "@tulle/base";

import type { LearntPort } from "../detection/learnt-ports.js";
import type { Suspicion } from "../health/outlier-recorder.js";
import type { ListenAddress, SidecarHandover, SidecarOptions } from "../options.js";
import type { ObservationAction, TrafficReport } from "../observed/contract.js";
import type { RecordAnswer } from "../records/record-answer.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { WorkloadTls } from "../tls/workload-tls.js";

/** What a thread that carries traffic needs to know of its sidecar. Plain data. */
export type TrafficOptions = Omit<SidecarOptions, "clock" | "logger" | "controlPlane">;

/** What carrying traffic needs of the sidecar's other parts. */
export interface TrafficParts {
  readonly options: TrafficOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly tls: WorkloadTls;
  /** A request asked for an authority that is not subscribed to. */
  readonly onDemand: (authority: string) => void;
  /** A request named this authority. */
  readonly onUse: (authority: string) => void;
  /** Requests found that an endpoint stands out. */
  readonly onSuspect: (suspicion: Suspicion) => void;
}

/** Where connections of the application and of the mesh arrive. */
export interface TrafficAddresses {
  /** In the order of the options. */
  readonly upstreams: readonly ListenAddress[];
  /** Undefined for a gateway, as is `inbound`. */
  readonly outbound?: ListenAddress;
  readonly inbound?: ListenAddress;
}

/** Ports to listen on; 0 = a free one. */
export interface TrafficPorts {
  /** In the order of the options. */
  readonly upstreams: readonly number[];
  readonly outbound: number;
  readonly inbound: number;
}

/** A listener as people see it. */
export interface ListenerStatus {
  readonly name: string;
  readonly address: ListenAddress;
  readonly connections: number;
  /** What it carries: `http`, `tcp`, both, `auto` for what first bytes say, or `unknown` before configuration. */
  readonly protocol: string;
  /** What its connections turned out to be, where nobody declares it. */
  readonly learnt: readonly LearntPort[];
}

/** What carries a sidecar's connections: the thread that also does everything else, or worker threads. */
export interface Traffic {
  /** Opens the listeners. Rejects with `PROXY_LISTEN_FAILED`; what is open then is closed by `close()`. */
  open(): Promise<TrafficAddresses>;
  /** The configuration has changed: what waits for it looks again. */
  onConfigurationChanged(): void;
  /** Resolves once connections are carried by the configuration and the identity of this moment. */
  caughtUp(): Promise<void>;
  listeners(): Promise<readonly ListenerStatus[]>;
  /** Brings what was counted elsewhere into the registry, as far as it is told in time. */
  collect(): Promise<void>;
  setLogLevel(level: LogLevel): void;
  /** What is recorded of a request, oldest first; of threads that answer in time. */
  recordsOf(requestId: string): Promise<readonly RecordAnswer[]>;
  /** Begins or ends to observe who asks for what, and tells what was observed. */
  observe(action: ObservationAction): Promise<TrafficReport>;
  /** Takes no more inbound connections and finishes what is under way. Never rejects. */
  drain(): Promise<void>;
  /** For a successor in another process; undefined where none can take over. */
  readonly handover?: SidecarHandover | undefined;
  /** Ends every connection and listener. */
  close(): Promise<void>;
}
