import { create } from "@bufbuild/protobuf";
import { MeshError, type Clock, type Disposable, type ErrorKind, type Logger, type Timer } from "@tulle/base";
import type { GrpcServerCall, GrpcServerHandler } from "@tulle/http/socket";
import {
  QuerySchema,
  ToProxySchema,
  type Answer,
  type FromProxy,
  type Hello,
  type ToProxy,
} from "@tulle/xds/gen/tulle/v1/agent_pb.js";

import { grpcFailureOf } from "../grpc/status.js";
import { watchExpiry } from "../grpc/stream-expiry.js";
import { admitClient, type AdsIdentity } from "../push/index.js";
import type { AgentQuery, ConnectedAgent } from "./contract.js";

/** A proxy that opens a stream must say hello within this time. */
const HELLO_TIMEOUT_MS = 15_000;
/** Queries that one proxy is asked at once. */
const MAX_PENDING = 16;
/** Of queries that it does not take, bytes: no more are asked. */
const MAX_WAITING = 64 * 1024;
/** Largest answer, characters. A proxy of ours sends less. */
const MAX_ANSWER = 300 * 1024;
const MAX_QUERY_NAMES = 32;
const MAX_TEXT = 512;
const MAX_FAILURE_TEXT = 2048;

export interface AgentSessionOptions {
  readonly call: GrpcServerCall<ToProxy>;
  readonly identity: AdsIdentity | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The proxy has said hello. */
  readonly onOpen: (session: AgentSession) => void;
  /** Called once, when the call is over for whatever reason. */
  readonly onClosed: (session: AgentSession) => void;
}

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: MeshError) => void;
  readonly timer: Timer;
}

type Introduction = Omit<ConnectedAgent, "ask">;

/** One agent stream: the proxy's hello, and the queries that it is asked. */
export class AgentSession implements ConnectedAgent, GrpcServerHandler<FromProxy>, Disposable {
  readonly #options: AgentSessionOptions;
  readonly #pending = new Map<number, Pending>();
  /** The hello, then the expiry of the proxy's certificate. */
  #deadline: Timer | undefined;
  #introduction: Introduction | undefined;
  #lastId = 0;
  #closed = false;

  constructor(options: AgentSessionOptions) {
    this.#options = options;
    this.#deadline = options.clock.setTimeout(() => {
      this.fail(new MeshError("timeout", "CONTROL_AGENT_SILENT", "no hello came; send it first"));
    }, HELLO_TIMEOUT_MS);
  }

  get id(): string {
    return this.#introduced.id;
  }

  get service(): string {
    return this.#introduced.service;
  }

  get namespace(): string {
    return this.#introduced.namespace;
  }

  get identity(): string {
    return this.#introduced.identity;
  }

  get version(): string {
    return this.#introduced.version;
  }

  get inboundAddress(): string {
    return this.#introduced.inboundAddress;
  }

  get queries(): ReadonlySet<string> {
    return this.#introduced.queries;
  }

  get connectedAt(): number {
    return this.#introduced.connectedAt;
  }

  ask(query: AgentQuery, timeoutMs: number): Promise<unknown> {
    if (this.#closed) return Promise.reject(gone(this.id));
    const { call } = this.#options;
    if (this.#pending.size >= MAX_PENDING || call.waitingBytes > MAX_WAITING)
      return Promise.reject(busy(this.id));
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimeout(() => {
        this.#take(id)?.reject(timedOut(this.id, timeoutMs));
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      call.write(create(ToProxySchema, { query: create(QuerySchema, { id, query }) }));
    });
  }

  /** Ends the call with the status that fits the failure. */
  fail(thrown: unknown): void {
    if (this.#closed) return;
    this.#close();
    const { status, message } = grpcFailureOf(thrown);
    this.#options.call.end(status, message);
  }

  [Symbol.dispose](): void {
    this.fail(
      new MeshError("unavailable", "CONTROL_SHUTDOWN", "the control plane is stopping; connect again"),
    );
  }

  get #introduced(): Introduction {
    if (this.#introduction === undefined)
      throw new MeshError("internal", "CONTROL_AGENT_UNKNOWN", "the proxy has not said hello yet");
    return this.#introduction;
  }

  // GrpcServerHandler

  onMessage({ message }: FromProxy): void {
    if (this.#closed) return;
    try {
      if (message.case === "hello") this.#onHello(message.value);
      else if (message.case === "answer") this.#onAnswer(message.value);
      // What a newer proxy may say unasked is none of these.
    } catch (thrown) {
      const error = MeshError.from(thrown);
      const { logger, call } = this.#options;
      logger.warn("an agent stream was refused", {
        proxy: this.#introduction?.id,
        peer: call.peer.address,
        error,
      });
      this.fail(error);
    }
  }

  onEnd(): void {
    this.#options.call.end();
    this.#close();
  }

  onTaken(): void {
    // Queries are small; those that wait are counted where one is asked.
  }

  onGone(): void {
    this.#close();
  }

  #onHello(hello: Hello): void {
    if (this.#introduction !== undefined)
      throw new MeshError("invalid", "CONTROL_AGENT_HELLO", "hello is said once");
    const { identity, clock, onOpen } = this.#options;
    const client = admitClient(hello.node, identity, false);
    for (const text of [hello.service, hello.version, hello.inboundAddress, ...hello.queries]) {
      if (text.length > MAX_TEXT || hello.queries.length > MAX_QUERY_NAMES)
        throw new MeshError("invalid", "CONTROL_AGENT_HELLO", "the hello is too long");
    }
    this.#deadline?.[Symbol.dispose]();
    this.#deadline = undefined;
    if (identity !== undefined) this.#deadline = watchExpiry(clock, identity, (error) => this.fail(error));
    this.#introduction = {
      id: client.id,
      service: hello.service,
      namespace: client.view.namespace,
      identity: client.identity,
      version: hello.version,
      inboundAddress: hello.inboundAddress,
      queries: new Set(hello.queries),
      connectedAt: clock.now(),
    };
    onOpen(this);
  }

  #onAnswer({ id, outcome }: Answer): void {
    if (this.#introduction === undefined)
      throw new MeshError("invalid", "CONTROL_AGENT_HELLO", "hello comes first");
    // One that came too late is nobody's any more.
    const pending = this.#take(id);
    if (pending === undefined) return;
    switch (outcome.case) {
      case "json":
        settle(pending, this.id, outcome.value);
        break;
      case "failure": {
        const { kind, code, message } = outcome.value;
        const text = message.slice(0, MAX_FAILURE_TEXT);
        pending.reject(new MeshError(kindOf(kind), codeOf(code), text, { source: "downstream" }));
        break;
      }
      case undefined:
        pending.reject(unreadable(this.id));
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.timer[Symbol.dispose]();
    return pending;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline?.[Symbol.dispose]();
    for (const id of this.#pending.keys()) this.#take(id)?.reject(gone(this.#introduction?.id ?? ""));
    this.#options.onClosed(this);
  }
}

function settle(pending: Pending, proxy: string, json: string): void {
  if (json.length > MAX_ANSWER) {
    pending.reject(unreadable(proxy));
    return;
  }
  let answer: unknown;
  try {
    answer = JSON.parse(json);
  } catch {
    pending.reject(unreadable(proxy));
    return;
  }
  pending.resolve(answer);
}

/** Kinds of a proxy's failures that mean the same to whoever asked; others are its own affair. */
const KINDS: ReadonlySet<string> = new Set<ErrorKind>(["invalid", "not-found", "exhausted", "unimplemented"]);

function kindOf(kind: string): ErrorKind {
  return KINDS.has(kind) ? (kind as ErrorKind) : "unavailable";
}

function codeOf(code: string): string {
  return /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : "CONTROL_AGENT_FAILED";
}

function gone(proxy: string): MeshError {
  return new MeshError("unavailable", "CONTROL_AGENT_GONE", `the stream of ${proxy} has ended; ask again`);
}

function busy(proxy: string): MeshError {
  return new MeshError(
    "exhausted",
    "CONTROL_AGENT_BUSY",
    `${proxy} is asked ${MAX_PENDING} things already; ask again later`,
  );
}

function timedOut(proxy: string, timeoutMs: number): MeshError {
  const message = `${proxy} did not answer within ${timeoutMs} ms; see its log`;
  return new MeshError("timeout", "CONTROL_AGENT_TIMEOUT", message);
}

function unreadable(proxy: string): MeshError {
  return new MeshError(
    "unavailable",
    "CONTROL_AGENT_ANSWER",
    `${proxy} gave an answer that cannot be read; is it of another version?`,
  );
}
