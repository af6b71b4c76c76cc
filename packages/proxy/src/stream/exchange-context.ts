import type { FactSource } from "../facts/fact-source.js";
import type { OverloadState } from "../overload/overload-manager.js";
import type { AuthorizationMetrics } from "../telemetry/authorization-metrics.js";
import type { Counter, Family } from "../telemetry/metrics.js";
import type { AuthorityCache } from "./authority-cache.js";
import type { Exchange } from "./exchange.js";
import type { ExchangeTimersContext } from "./exchange-timers.js";
import type { ProxyNames } from "./failure-headers.js";
import type { MirrorsContext } from "./mirrors.js";
import type { ParkingLot } from "./parking.js";
import type { TriesContext } from "./tries-contract.js";

/** What exchanges share. */
export interface ExchangeContext extends TriesContext, ExchangeTimersContext, MirrorsContext, ProxyNames {
  readonly parking: ParkingLot;
  readonly authorities: AuthorityCache;
  /** Requests beyond a limit, by its name and whether they were refused. */
  readonly rateLimited: Family<Counter>;
  readonly authorization: AuthorizationMetrics;
  readonly overload: OverloadState;
  /** Answers what steps of chains must know from outside. */
  readonly facts: FactSource;
  newRequestId(): string;
  /** Somebody asked for an authority whose listener is not known: subscribe to it. */
  onDemand(authority: string): void;
  /** An exchange is over; its fields are valid until this returns. */
  onExchangeDone(exchange: Exchange): void;
}
