import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";

import type { Clock, Disposable, Timer } from "@tulle/base";

import type { LogSink } from "../options.js";
import type { Counter } from "./metrics.js";

/** Lines are given to the sink when so many characters wait … */
const FLUSH_CHARS = 8 * 1024;
/** … or so many milliseconds after the first of them. */
const FLUSH_MS = 1000;
/** More than this unwritten and new lines are dropped: a stuck log must not fill the memory. */
const MAX_UNWRITTEN = 1024 * 1024;

/** Writes log lines in batches; drops and counts lines when the sink is stuck. */
export class LineWriter implements Disposable {
  readonly #sink: Writable;
  readonly #owned: boolean;
  readonly #clock: Clock;
  readonly #dropped: Counter;
  #text = "";
  #timer: Timer | undefined;
  #broken = false;

  constructor(sink: Writable, clock: Clock, dropped: Counter, owned = false) {
    this.#sink = sink;
    this.#owned = owned;
    this.#clock = clock;
    this.#dropped = dropped;
    // A closed pipe or a full disk must not end the process: lines are dropped and counted from then on.
    sink.on("error", this.#onError);
  }

  readonly #onError = (): void => {
    this.#broken = true;
  };

  /** Takes one line without its newline. */
  write(line: string): void {
    if (this.#broken || this.#sink.writableLength > MAX_UNWRITTEN) {
      this.#dropped.inc();
      return;
    }
    this.#text += line;
    this.#text += "\n";
    if (this.#text.length >= FLUSH_CHARS) this.flush();
    else this.#timer ??= this.#clock.setTimeout(() => this.flush(), FLUSH_MS, { keepAlive: false });
  }

  flush(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#text.length === 0) return;
    const text = this.#text;
    this.#text = "";
    if (!this.#broken) this.#sink.write(text);
  }

  [Symbol.dispose](): void {
    this.flush();
    if (this.#owned) this.#sink.end();
  }
}

/** Opens what `sink` names; undefined for `off`. */
export function openLineWriter(sink: LogSink, clock: Clock, dropped: Counter): LineWriter | undefined {
  if (sink === "off") return undefined;
  if (sink === "stdout") return new LineWriter(process.stdout, clock, dropped);
  return new LineWriter(createWriteStream(sink.file, { flags: "a", mode: 0o600 }), clock, dropped, true);
}
