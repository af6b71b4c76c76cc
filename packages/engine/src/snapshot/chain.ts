import type { PathNormalization } from "@tulle/http";

import type { AdmissionStep } from "../admit/admit.js";
import type { ChainLimits, HttpChain } from "./contract.js";
import type { RouteTable } from "../route/route-table.js";

/** What a HttpConnectionManager says, apart from its routes. */
export interface ChainSettings {
  readonly name: string;
  readonly direction: "inbound" | "outbound";
  readonly accessLogFormat: string | undefined;
  readonly requestTimeoutMs: number;
  readonly maxDurationMs: number;
  readonly pathNormalization: PathNormalization;
  readonly limits: ChainLimits | undefined;
  readonly steps: readonly AdmissionStep[];
  /** Virtual hosts are looked up without the authority's port (Envoy's `strip_any_host_port`). */
  readonly stripPort: boolean;
}

/** HTTP behaviour with its routes resolved. One object for as long as neither changes. */
export class Chain implements HttpChain {
  readonly protocol = "http";
  readonly name: string;
  readonly warm: boolean;
  readonly direction: "inbound" | "outbound";
  readonly accessLogFormat: string | undefined;
  readonly requestTimeoutMs: number;
  readonly maxDurationMs: number;
  readonly pathNormalization: PathNormalization;
  readonly limits: ChainLimits | undefined;
  readonly steps: readonly AdmissionStep[];
  readonly stripPort: boolean;
  /** Undefined while the route table has not arrived, or when it does not exist. */
  readonly routes: RouteTable | undefined;

  constructor(settings: ChainSettings, routes: RouteTable | undefined, warm: boolean) {
    this.name = settings.name;
    this.warm = warm;
    this.direction = settings.direction;
    this.accessLogFormat = settings.accessLogFormat;
    this.requestTimeoutMs = settings.requestTimeoutMs;
    this.maxDurationMs = settings.maxDurationMs;
    this.pathNormalization = settings.pathNormalization;
    this.limits = settings.limits;
    this.steps = settings.steps;
    this.stripPort = settings.stripPort;
    this.routes = routes;
  }
}
