import type { WorkloadIdentity } from "@tulle/agent";
import type { Clock, Logger } from "@tulle/base";

import type { SidecarHandover } from "@tulle/proxy";

import type { WorkloadOptions } from "./workload-options.js";

/** What a sidecar must know of the control plane to start while that is away. */
export interface KnownControlPlane {
  readonly xds: string;
  readonly trustDomain: string;
  readonly rootCertificatePem: string;
}

/** What it takes to join. */
export interface Joined {
  readonly controlPlane: KnownControlPlane;
  /** Undefined while the control plane is away: the identity of the last start must do. */
  readonly joinToken: string | undefined;
}

/** What a companion goes on with that takes over from another one. */
export interface Inheritance {
  readonly instanceId: string;
  readonly appPort: number | undefined;
  /** How many there were before it. */
  readonly epoch: number;
  /** What its predecessor listened by, by the listener's name. */
  readonly sockets: ReadonlyMap<string, object>;
}

export interface CompanionOptions {
  readonly workload: WorkloadOptions;
  readonly instanceId: string;
  readonly appPort: number | undefined;
  readonly directory: string;
  /** A promise where the sidecar is to begin without knowing its mesh (`failOpen`). */
  readonly joined: Joined | Promise<Joined>;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly inheritance?: Inheritance;
}

/** What stands between an application and the mesh: a sidecar, or for proxyless gRPC an xDS relay. */
export interface Companion {
  /** The workload's. */
  readonly identity: WorkloadIdentity;
  /** Listeners by name, for people and scripts. */
  readonly addresses: object;
  /** Where other sidecars reach this workload; undefined: at the application itself. */
  readonly meshAddress: { readonly host: string; readonly port: number } | undefined;
  /** Resolves when somebody asked it to end. */
  readonly quitRequested: Promise<void>;
  /** Rejects when it cannot go on; never resolves. */
  readonly failed: Promise<never>;
  /** Variables for the application. */
  environment(): Record<string, string>;
  /** For a successor. Throws where none can take over; absent: none ever can. */
  handover?(): SidecarHandover;
  /** Finishes what is under way. */
  drain(): Promise<void>;
  close(): Promise<void>;
}
