import type { PathNormalization } from "@tulle/http";

import type { ChainFilter } from "../admit/chain-filters.js";
import type { ChainLimits, ClientCertForwarding, EdgeSettings, HttpChain } from "./contract.js";
import type { ProxyStatusSettings } from "./proxy-status-settings.js";
import type { RouteTable } from "../route/route-table.js";

/** What a HttpConnectionManager says, apart from its routes. */
export interface ChainSettings {
  readonly name: string;
  readonly routeConfiguration: string;
  readonly direction: "inbound" | "outbound";
  readonly accessLogFormat: string | undefined;
  readonly requestTimeoutMs: number;
  readonly maxDurationMs: number;
  readonly pathNormalization: PathNormalization;
  readonly limits: ChainLimits | undefined;
  readonly proxyStatus?: ProxyStatusSettings | undefined;
  readonly requestIdInResponse?: boolean;
  readonly edge?: EdgeSettings | undefined;
  readonly clientCert?: ClientCertForwarding | undefined;
  /** In their order, without the router. */
  readonly filters: readonly ChainFilter[];
  /** Virtual hosts are looked up without the authority's port (Envoy's `strip_any_host_port`). */
  readonly stripPort: boolean;
}

/** HTTP behaviour with its routes resolved. One object for as long as neither changes. */
export class Chain implements HttpChain {
  readonly protocol = "http";
  readonly name: string;
  readonly routeConfiguration: string;
  readonly warm: boolean;
  readonly direction: "inbound" | "outbound";
  readonly accessLogFormat: string | undefined;
  readonly requestTimeoutMs: number;
  readonly maxDurationMs: number;
  readonly pathNormalization: PathNormalization;
  readonly limits: ChainLimits | undefined;
  readonly proxyStatus: ProxyStatusSettings | undefined;
  readonly requestIdInResponse: boolean;
  readonly edge: EdgeSettings | undefined;
  readonly clientCert: ClientCertForwarding;
  readonly filters: readonly ChainFilter[];
  /** Whether a filter does something where the route says nothing. */
  readonly hasOwnSteps: boolean;
  readonly stripPort: boolean;
  /** Undefined while the route table has not arrived, or when it does not exist. */
  readonly routes: RouteTable | undefined;

  constructor(settings: ChainSettings, routes: RouteTable | undefined, warm: boolean) {
    this.name = settings.name;
    this.routeConfiguration = settings.routeConfiguration;
    this.warm = warm;
    this.direction = settings.direction;
    this.accessLogFormat = settings.accessLogFormat;
    this.requestTimeoutMs = settings.requestTimeoutMs;
    this.maxDurationMs = settings.maxDurationMs;
    this.pathNormalization = settings.pathNormalization;
    this.limits = settings.limits;
    this.proxyStatus = settings.proxyStatus;
    this.requestIdInResponse = settings.requestIdInResponse ?? false;
    this.edge = settings.edge;
    this.clientCert = settings.clientCert ?? "none";
    this.filters = settings.filters;
    this.hasOwnSteps = settings.filters.some(({ own, disabled }) => own !== undefined && !disabled);
    this.stripPort = settings.stripPort;
    this.routes = routes;
  }
}
