import type { Exchange } from "../stream/exchange.js";
import type { AccessLog } from "./access-log.js";
import type { IstioMetrics } from "./istio-metrics.js";

/** What is told to the outside about every exchange: metrics and a log line. */
export class ExchangeTelemetry {
  readonly #metrics: IstioMetrics;
  readonly #log: AccessLog;

  constructor(metrics: IstioMetrics, log: AccessLog) {
    this.#metrics = metrics;
    this.#log = log;
  }

  record(exchange: Exchange): void {
    this.#metrics.record(exchange);
    this.#log.write(exchange.chain, exchange);
  }
}
