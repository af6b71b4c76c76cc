import type { ErrorKind, LogLevel } from "@tulle/base";
import type { Svid } from "@tulle/agent";
import type { ResourceChange, SharedLoad, SlotChanges, SlotEntry } from "@tulle/engine";

import type { Suspicion } from "../health/outlier-recorder.js";
import type { ListenerStatus, TrafficAddresses, TrafficOptions, TrafficPorts } from "../lifecycle/traffic.js";
import type { ObservationAction, TrafficReport } from "../observed/contract.js";
import type { RecordAnswer } from "../records/record-answer.js";
import type { MetricsDelta } from "../telemetry/metrics-delta.js";
import type { ConfigurationChange } from "../xds/sidecar-configuration.js";

// What the main thread and its workers say to each other: plain data, copied on the way, in order.

/** What a worker begins with. */
export interface WorkerStart {
  /** 0 and up. */
  readonly index: number;
  readonly options: TrafficOptions;
  readonly logLevel: LogLevel;
  readonly load: SharedLoad;
  readonly slots: readonly SlotEntry[];
  readonly resources: readonly ResourceChange[];
  /** Undefined before the first certificate. */
  readonly svid: Svid | undefined;
}

/** What a worker is asked; each question is answered once. */
export type Question =
  | { readonly kind: "open"; readonly ports: TrafficPorts }
  /** Follow what became of the main thread's configuration; answered, so that nobody gets ahead without end. */
  | { readonly kind: "configure"; readonly change: ConfigurationChange; readonly slots: SlotChanges }
  /** Answered when everything that was told before is in force. */
  | { readonly kind: "sync" }
  | { readonly kind: "listeners" }
  | { readonly kind: "metrics" }
  | { readonly kind: "records"; readonly requestId: string }
  | { readonly kind: "observe"; readonly action: ObservationAction }
  /** Answered when no inbound connection is left. */
  | { readonly kind: "drain" }
  /** Answered when every connection is closed; the worker ends then. */
  | { readonly kind: "close" };

/** Answers by kind of question. */
export interface Answers {
  open: TrafficAddresses;
  configure: undefined;
  sync: undefined;
  listeners: readonly ListenerStatus[];
  metrics: MetricsDelta;
  records: readonly RecordAnswer[];
  observe: TrafficReport;
  drain: undefined;
  close: undefined;
}

export type ToWorker =
  | { readonly kind: "ask"; readonly id: number; readonly question: Question }
  | { readonly kind: "identity"; readonly svid: Svid }
  | { readonly kind: "log-level"; readonly level: LogLevel };

export type FromWorker =
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answers[keyof Answers] }
  | {
      readonly kind: "failure";
      readonly id: number;
      readonly error: { readonly kind: ErrorKind; readonly code: string; readonly message: string };
    }
  /** A request asks for an authority that nobody has subscribed to. */
  | { readonly kind: "demand"; readonly authority: string }
  /** A request named this authority, as the first one for a while. */
  | { readonly kind: "use"; readonly authority: string }
  /** Requests found that an endpoint stands out; the main thread decides. */
  | { readonly kind: "suspect"; readonly suspicion: Suspicion }
  /** A log record in JSON. */
  | { readonly kind: "log"; readonly line: string };

/** What a worker says by itself. */
export type Unasked = Exclude<FromWorker, { readonly kind: "answer" | "failure" }>;

/** A running worker as the main thread holds it. */
export interface WorkerChannel {
  post(message: ToWorker): void;
  /** Takes what the worker says. */
  onMessage(take: (message: FromWorker) => void): void;
  /** Calls back once when the worker has ended; with the reason when it failed. */
  onEnd(ended: (error: Error | undefined) => void): void;
  /** Ends it, whatever it does. */
  terminate(): void;
}

/** Starts a worker. */
export type SpawnWorker = (start: WorkerStart) => WorkerChannel;
