import type { Exchange } from "../stream/exchange.js";
import {
  compileAccessLogFormat,
  ISTIO_ACCESS_LOG_FORMAT,
  type AccessLogFormatter,
} from "./access-log-format.js";
import type { IstioMetrics } from "./istio-metrics.js";
import type { LineWriter } from "./line-writer.js";

const MAX_FORMATS = 64;

/** What is told to the outside about every exchange: metrics and a log line. */
export class ExchangeTelemetry {
  readonly #metrics: IstioMetrics;
  readonly #log: LineWriter | undefined;
  readonly #formatters = new Map<string, AccessLogFormatter>();

  constructor(metrics: IstioMetrics, log: LineWriter | undefined) {
    this.#metrics = metrics;
    this.#log = log;
  }

  record(exchange: Exchange): void {
    this.#metrics.record(exchange);
    if (this.#log === undefined) return;
    const { chain } = exchange;
    // An exchange that found no chain is logged all the same: those are the ones that people look for.
    const format = chain === undefined ? ISTIO_ACCESS_LOG_FORMAT : chain.accessLogFormat;
    if (format !== undefined) this.#log.write(this.#formatter(format)(exchange));
  }

  #formatter(format: string): AccessLogFormatter {
    let formatter = this.#formatters.get(format);
    if (formatter === undefined) {
      if (this.#formatters.size >= MAX_FORMATS) this.#formatters.clear();
      formatter = compileAccessLogFormat(format === "" ? ISTIO_ACCESS_LOG_FORMAT : format);
      this.#formatters.set(format, formatter);
    }
    return formatter;
  }
}
