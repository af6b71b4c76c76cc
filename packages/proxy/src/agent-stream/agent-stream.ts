import { create } from "@bufbuild/protobuf";
import {
  Backoff,
  MeshError,
  MutableDisposable,
  TokenBucket,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";
import { GrpcStatus } from "@tulle/http";
import type { GrpcCall, GrpcClient } from "@tulle/http/socket";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  Agent,
  AnswerSchema,
  FailureSchema,
  FromProxySchema,
  type Answer,
  type FromProxy,
  type Hello,
  type Query,
  type ToProxy,
} from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.js";

/** Queries at once, and in a second: an operator asks a few; more would be the traffic's time. */
const MAX_IN_FLIGHT = 16;
const QUERIES_PER_SECOND = 50;
const QUERY_BURST = 100;
/** Largest answer, characters of JSON. The control plane refuses more. */
const MAX_ANSWER = 256 * 1024;
/** Characters of answers that may wait for a stuck stream; what does not fit is dropped. */
const MAX_WAITING = 1024 * 1024;
const RECONNECT_MIN_MS = 1000;
const RECONNECT_MAX_MS = 30_000;

export interface AgentStreamOptions {
  /** Who this proxy is; asked for at every beginning. */
  readonly hello: () => Hello;
  /** What a query asks for, as something that JSON can write. Rejects with MeshError. */
  readonly answer: (query: Query["query"]) => Promise<unknown>;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/**
 * The proxy's end of `tulle.v1.Agent/Connect`: answers what the control plane asks. Lives on the connection of the ADS
 * stream, whose server has proved to be the control plane, and goes with it. Nothing waits for this stream: where the
 * control plane does not know it, or it breaks, traffic and configuration go on.
 */
export class AgentStream implements Disposable {
  readonly #options: AgentStreamOptions;
  readonly #backoff: Backoff;
  readonly #retry = new MutableDisposable<Timer>();
  readonly #rate: TokenBucket;
  readonly #queries: Family<Counter>;
  #client: GrpcClient | undefined;
  #call: GrpcCall<FromProxy> | undefined;
  #inFlight = 0;
  /** Characters written since the stream last took everything. */
  #waiting = 0;
  #disposed = false;

  constructor(options: AgentStreamOptions) {
    const { clock, metrics, random } = options;
    this.#options = options;
    this.#backoff = new Backoff({ baseMs: RECONNECT_MIN_MS, maxMs: RECONNECT_MAX_MS }, random);
    this.#rate = new TokenBucket(QUERIES_PER_SECOND, QUERY_BURST, clock);
    this.#queries = metrics.counter("tulle_agent_queries_total", "Queries of the control plane, by result.");
  }

  /** Whether the stream is open. */
  get connected(): boolean {
    return this.#call !== undefined;
  }

  /** There is a new connection to the control plane: the stream begins anew on it. The former one is over. */
  attach(client: GrpcClient): void {
    if (this.#disposed) return;
    this.#drop();
    this.#client = client;
    this.#backoff.reset();
    this.#open(client);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#drop();
  }

  #drop(): void {
    this.#retry.value = undefined;
    this.#call?.cancel();
    this.#call = undefined;
    this.#client = undefined;
  }

  #open(client: GrpcClient): void {
    this.#waiting = 0;
    const call: GrpcCall<FromProxy> = client.call(METHOD, {
      onMessage: (message) => this.#onMessage(call, message),
      onWritable: () => {
        this.#waiting = 0;
      },
      onEnd: (status, message) => {
        if (this.#call === call) this.#onEnd(client, status, message);
      },
    });
    this.#call = call;
    call.write(create(FromProxySchema, { message: { case: "hello", value: this.#options.hello() } }));
  }

  #onEnd(client: GrpcClient, status: number, message: string): void {
    this.#call = undefined;
    const { logger, clock } = this.#options;
    if (status === GrpcStatus.UNIMPLEMENTED) {
      logger.debug("the control plane asks nothing of its proxies", { why: message });
      return;
    }
    const delayMs = this.#backoff.next();
    logger.debug("the agent stream ended", { status, why: message, delayMs: Math.round(delayMs) });
    this.#retry.value = clock.setTimeout(
      () => {
        if (client === this.#client) this.#open(client);
      },
      delayMs,
      { keepAlive: false },
    );
  }

  #onMessage(call: GrpcCall<FromProxy>, { query }: ToProxy): void {
    if (query === undefined || call !== this.#call) return;
    this.#backoff.reset();
    if (this.#inFlight >= MAX_IN_FLIGHT || !this.#rate.take()) {
      const message = `this proxy answers ${MAX_IN_FLIGHT} queries at once and ${QUERIES_PER_SECOND} in a second`;
      this.#send(call, failed(query.id, new MeshError("exhausted", "PROXY_QUERIES", message)));
      return;
    }
    this.#inFlight++;
    void this.#answer(query).then((answer) => {
      this.#inFlight--;
      // Another stream has begun: nobody there has asked.
      if (call === this.#call) this.#send(call, answer);
    });
  }

  /** Never rejects. */
  async #answer({ id, query }: Query): Promise<Answer> {
    try {
      const json = JSON.stringify(await this.#options.answer(query)) ?? "null";
      if (json.length > MAX_ANSWER) {
        const message = `the answer is larger than ${MAX_ANSWER} bytes; ask for less, or look at this proxy's admin port`;
        return failed(id, new MeshError("exhausted", "PROXY_ANSWER_TOO_LARGE", message));
      }
      return create(AnswerSchema, { id, outcome: { case: "json", value: json } });
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.kind === "internal") this.#options.logger.error("a query failed", { error });
      return failed(id, error);
    }
  }

  #send(call: GrpcCall<FromProxy>, answer: Answer): void {
    const { outcome } = answer;
    const size = outcome.case === "json" ? outcome.value.length : 0;
    if (this.#waiting + size > MAX_WAITING) {
      this.#queries.with(["result", "dropped"]).inc();
      return;
    }
    this.#queries.with(["result", outcome.case === "json" ? "answered" : "failed"]).inc();
    this.#waiting += size;
    if (call.write(create(FromProxySchema, { message: { case: "answer", value: answer } })))
      this.#waiting = 0;
  }
}

const METHOD = grpcServiceDefinition(Agent).connect;

function failed(id: number, error: MeshError): Answer {
  const { kind, code } = error;
  // What an unexpected error says is for this proxy's own log.
  const message = kind === "internal" ? "unexpected failure in the proxy; see its log" : error.message;
  return create(AnswerSchema, {
    id,
    outcome: { case: "failure", value: create(FailureSchema, { kind, code, message }) },
  });
}
