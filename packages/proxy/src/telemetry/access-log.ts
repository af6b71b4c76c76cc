import {
  compileAccessLogFormat,
  ISTIO_ACCESS_LOG_FORMAT,
  type AccessLogEntry,
  type AccessLogFormatter,
} from "./access-log-format.js";
import type { LineWriter } from "./line-writer.js";

const MAX_FORMATS = 64;

/** One line for everything that was carried, in the format that its chain asks for. */
export class AccessLog {
  readonly #writer: LineWriter | undefined;
  readonly #formatters = new Map<string, AccessLogFormatter>();

  /** Without a writer nothing is written. */
  constructor(writer: LineWriter | undefined) {
    this.#writer = writer;
  }

  /** Writes a line, unless `chain` wants none. What found no chain is logged all the same: that is what people look for. */
  write(chain: { readonly accessLogFormat: string | undefined } | undefined, entry: AccessLogEntry): void {
    if (this.#writer === undefined) return;
    const format = chain === undefined ? ISTIO_ACCESS_LOG_FORMAT : chain.accessLogFormat;
    if (format !== undefined) this.#writer.write(this.#formatter(format)(entry));
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
