import { pick, shadowHost, type AttemptState, type MirrorPlan, type Plan } from "@tulle/engine";
import type { HeaderList } from "@tulle/http";

import type { RequestFields } from "../filters/request-headers.js";
import type { Counter } from "../telemetry/metrics.js";
import type { OwnView } from "./decision.js";
import type { ExchangeRecord } from "./exchange-record.js";
import { MirrorRequest, type MirrorRequestContext } from "./mirror-request.js";
import type { RequestBody } from "./request-body.js";
import { requestHeadersOf, requestMethodOf, requestTargetOf } from "./upstream-request.js";

/** What mirrors share. */
export interface MirrorsContext extends MirrorRequestContext {
  /** Own workload, told to the next sidecar. */
  readonly peerMetadata: string;
  readonly mirrorsDropped: Counter;
}

const FIRST_TRY: AttemptState = { attempts: 0, triedSlots: [] };

/**
 * The copies of one exchange's requests. Each goes its own way: nobody waits for its answer, and one that cannot keep up
 * with the request is dropped. Made for the first request that is copied, and reused.
 */
export class Mirrors {
  readonly #context: MirrorsContext;
  readonly #record: ExchangeRecord;
  readonly #fields: RequestFields;
  readonly #view: OwnView;
  /** Copies of the request that is being received. */
  readonly #receiving: MirrorRequest[] = [];

  constructor(context: MirrorsContext, record: ExchangeRecord, fields: RequestFields, view: OwnView) {
    this.#context = context;
    this.#record = record;
    this.#fields = fields;
    this.#view = view;
  }

  /** Copies the request that goes the way of `plan`. `body`: what has come of it. */
  start(plan: Plan, mirrors: readonly MirrorPlan[], body: RequestBody): void {
    // A tunnel would have to be answered.
    if (this.#record.request.upgrade !== "") return;
    for (const mirror of mirrors) {
      if (mirror.takes(this.#view.entropy, this.#view.snapshot)) this.#startOne(plan, mirror, body);
    }
  }

  onRequestBody(chunk: Buffer, start: number, end: number): void {
    for (const mirror of this.#receiving) mirror.onRequestBody(chunk, start, end);
  }

  onRequestEnd(trailers: HeaderList): void {
    for (const mirror of this.#receiving) mirror.onRequestEnd(trailers);
    this.#receiving.length = 0;
  }

  /** The request will not be complete. Copies of one that is go on. */
  abandon(): void {
    for (const mirror of this.#receiving) mirror.drop();
    this.#receiving.length = 0;
  }

  #startOne(plan: Plan, mirror: MirrorPlan, body: RequestBody): void {
    const { clock, configuration, peerMetadata, mirrorsDropped } = this.#context;
    const record = this.#record;
    this.#view.snapshot = configuration.current;
    const way = mirror.plan(configuration.current);
    const picked = pick(this.#view, way, FIRST_TRY);
    if ("kind" in picked) {
      mirrorsDropped.inc();
      return;
    }
    const endpoint = (record.grpc ? picked.overHttp2 : undefined) ?? picked;
    const headers = requestHeadersOf(record, this.#fields, plan, endpoint, peerMetadata, clock.monotonic());
    if (mirror.marksHost) markHost(headers);
    const request = new MirrorRequest(this.#context, {
      method: requestMethodOf(record),
      target: requestTargetOf(record, plan),
      headers,
      expectsBody: body.expected,
      contentLength: body.contentLength,
      grpc: record.grpc,
      timeoutMs: plan.timeoutMs,
    });
    request.start(way.cluster, endpoint, record.source);
    for (const chunk of body.kept) request.onRequestBody(chunk, 0, chunk.length);
    if (body.done) request.onRequestEnd(body.trailers);
    else this.#receiving.push(request);
  }
}

function markHost(headers: HeaderList): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.toLowerCase() === "host") headers[i + 1] = shadowHost(headers[i + 1]!);
  }
}
