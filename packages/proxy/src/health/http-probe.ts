import { applyHeaders, inRanges, OrderedMatch, type HttpProbe } from "@tulle/engine";
import { getHeader, NO_FIELDS, type HeaderList, type ResponseHead } from "@tulle/http";

import type { AcquireFailure, ResetReason, UpstreamStream, UpstreamWaiter } from "../stream/contract.js";
import { DEGRADED_HEADER, IMMEDIATE_FAIL_HEADER, type ProbeOutcome } from "./probe.js";

/** What a probe asks, and how it judges the answer. */
export interface ProbeExchange {
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array;
  /** Fields of the request, `host` first. */
  headers(): HeaderList;
  onHead(head: ResponseHead): void;
  onBody(chunk: Buffer, start: number, end: number): void;
  /** The answer is complete. */
  judge(trailers: HeaderList): ProbeOutcome;
}

/** One request of a probe and its answer. `onDone` is called once. */
export class ProbeRequest implements UpstreamWaiter {
  readonly #exchange: ProbeExchange;
  readonly #onDone: (outcome: ProbeOutcome) => void;
  #stream: UpstreamStream | undefined;
  #over = false;

  constructor(exchange: ProbeExchange, onDone: (outcome: ProbeOutcome) => void) {
    this.#exchange = exchange;
    this.#onDone = onDone;
  }

  /** Nobody wants to know any more. */
  cancel(): void {
    this.#over = true;
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  onUpstreamReady(stream: UpstreamStream): void {
    if (this.#over) {
      stream.cancel();
      return;
    }
    this.#stream = stream;
    const { method, path, body } = this.#exchange;
    const headers = this.#exchange.headers();
    if (body.length > 0) headers.push("content-length", String(body.length));
    stream.writeHead(method, path, headers, body.length > 0, body.length);
    if (body.length > 0) stream.writeBody(Buffer.from(body), 0, body.length);
    stream.writeEnd(NO_FIELDS);
  }

  onUpstreamUnavailable(failure: AcquireFailure, detail: string): void {
    const timedOut = failure === "connect-timeout";
    const reason = timedOut ? "the connection took too long" : detail;
    this.#end({ kind: "unreachable", reason, timedOut });
  }

  onUpstreamInterim(): void {}

  onUpstreamHead(head: ResponseHead): void {
    this.#exchange.onHead(head);
  }

  /** It is not asked for. */
  onUpstreamSwitched(): void {}

  onUpstreamBody(chunk: Buffer, start: number, end: number): void {
    this.#exchange.onBody(chunk, start, end);
  }

  onUpstreamEnd(trailers: HeaderList): void {
    this.#end(this.#exchange.judge(trailers));
  }

  onUpstreamDrain(): void {}

  onUpstreamReset(reason: ResetReason, detail: string): void {
    const what = reason === "closed" ? "the connection broke" : "the answer is malformed";
    this.#end({ kind: "unreachable", reason: detail === "" ? what : `${what}: ${detail}` });
  }

  #end(outcome: ProbeOutcome): void {
    this.#stream = undefined;
    if (this.#over) return;
    this.#over = true;
    this.#onDone(outcome);
  }
}

/** What an HTTP probe asks of a server that is known as `host`. */
export class HttpProbeExchange implements ProbeExchange {
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array;
  readonly #probe: HttpProbe;
  readonly #host: string;
  readonly #match: OrderedMatch;
  #lookedAt = 0;
  #status = 0;
  #degraded = false;
  #failsAtOnce = false;

  constructor(probe: HttpProbe, host: string) {
    this.#probe = probe;
    this.#host = probe.host === "" ? host : probe.host;
    this.method = probe.method;
    this.path = probe.path;
    this.body = probe.body;
    this.#match = new OrderedMatch(probe.receive);
  }

  headers(): HeaderList {
    const headers: HeaderList = ["host", this.#host, "user-agent", "Tulle/HC"];
    applyHeaders(headers, this.#probe.headers);
    return headers;
  }

  onHead({ status, headers }: ResponseHead): void {
    this.#status = status;
    this.#degraded = getHeader(headers, DEGRADED_HEADER) !== undefined;
    this.#failsAtOnce = getHeader(headers, IMMEDIATE_FAIL_HEADER) !== undefined;
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    const { responseBytes } = this.#probe;
    const length = responseBytes === 0 ? end - start : Math.min(end - start, responseBytes - this.#lookedAt);
    if (length <= 0) return;
    this.#match.push(chunk.subarray(start, start + length));
    this.#lookedAt += length;
  }

  judge(): ProbeOutcome {
    const { expected, retriable } = this.#probe;
    const status = this.#status;
    if (this.#failsAtOnce)
      return { kind: "failed", reason: `it answered with ${IMMEDIATE_FAIL_HEADER}`, atOnce: true };
    if (!inRanges(status, expected)) {
      return { kind: "failed", reason: `it answered ${status}`, atOnce: !inRanges(status, retriable) };
    }
    if (!this.#match.complete)
      return { kind: "failed", reason: "its answer does not contain what is expected", atOnce: true };
    return { kind: "passed", degraded: this.#degraded };
  }
}
