import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, type ClientHttp2Session } from "node:http2";

import * as grpc from "@grpc/grpc-js";
import { systemClock } from "@tulle/base";

import { pause, report } from "./load.js";

/** What a request was, as failures are told apart by it. */
export type CallKind = "GET" | "POST" | "h2 GET" | "h2 POST" | "gRPC unary" | "gRPC stream";

/** Kinds that must not be carried out twice, as nobody said that they may be. */
const UNSAFE: ReadonlySet<CallKind> = new Set(["POST", "h2 POST", "gRPC unary", "gRPC stream"]);

export interface Failed {
  readonly kind: CallKind;
  /** Order id, "" of what orders nothing. */
  readonly order: string;
  /** HTTP status, gRPC status by `grpc-<code>`, or what broke. */
  readonly what: string;
  readonly sentMs: number;
  readonly tookMs: number;
}

export interface MixedResult {
  readonly requests: number;
  readonly byKind: ReadonlyMap<CallKind, number>;
  readonly failed: readonly Failed[];
  /** Failures of requests that could have been sent again. */
  readonly failedSafe: readonly Failed[];
  /** Orders that more than one application, or one more than once, took. */
  readonly duplicated: readonly string[];
  /** Orders that were answered well and that nobody took. */
  readonly lost: readonly string[];
  /** Orders taken, by instance. */
  readonly instances: ReadonlyMap<string, number>;
}

export interface MixedTargets {
  /** Base URLs of upstream listeners. */
  readonly http1: string;
  readonly http2: string;
  readonly grpc: string;
  /** What the applications write down. */
  readonly ledger: string;
}

const TIMEOUT_MS = 15_000;
const TICK_MS = 20;
/** TULLE_E2E_LOAD: how many times as many requests are sent. */
export const LOAD = Number(process.env["TULLE_E2E_LOAD"] ?? 1);
/** Requests a second of each kind; a stream lives for `STREAM_MESSAGES * STREAM_EVERY_MS`. */
const RATES: ReadonlyMap<CallKind, number> = new Map([
  ["GET", 60],
  ["POST", 40],
  ["h2 GET", 40],
  ["h2 POST", 40],
  ["gRPC unary", 40],
  ["gRPC stream", 4],
]);
const STREAM_MESSAGES = 20;
const STREAM_EVERY_MS = 50;

let orders = 0;

/** Sends requests of every kind at a steady rate while `during` runs, then waits for the last answers. */
export async function underMixedLoad(
  name: string,
  targets: MixedTargets,
  during: () => Promise<void>,
): Promise<MixedResult> {
  const load = new MixedLoad(targets);
  try {
    await during();
  } finally {
    await load.end();
  }
  const result = load.result();
  const kinds = [...result.byKind].map(([kind, count]) => `${kind} ${count}`).join(", ");
  const spread = [...result.instances].map(([instance, count]) => `${instance}=${count}`).join(" ");
  report(
    name,
    `${result.requests} requests (${kinds}), ${result.failed.length} failed, ` +
      `${result.duplicated.length} carried out twice, ${result.lost.length} lost, ${spread}`,
  );
  return result;
}

class MixedLoad {
  readonly #targets: MixedTargets;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #client: grpc.Client;
  readonly #startedMs = systemClock.monotonic();
  readonly #sent = new Map<CallKind, number>([...RATES.keys()].map((kind) => [kind, 0]));
  readonly #failed: Failed[] = [];
  readonly #answered: string[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #timer;
  #session: ClientHttp2Session | undefined;

  constructor(targets: MixedTargets) {
    this.#targets = targets;
    this.#client = new grpc.Client(hostOf(targets.grpc), grpc.credentials.createInsecure());
    this.#timer = systemClock.setInterval(() => this.#tick(), TICK_MS);
  }

  async end(): Promise<void> {
    this.#timer[Symbol.dispose]();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    this.#agent.destroy();
    this.#session?.destroy();
    this.#client.close();
  }

  result(): MixedResult {
    const instances = new Map<string, number>();
    const taken = new Map<string, number>();
    for (const line of readFileSync(this.#targets.ledger, "utf8").split("\n")) {
      const [order, instance] = line.split(" ");
      if (order === undefined || instance === undefined) continue;
      taken.set(order, (taken.get(order) ?? 0) + 1);
      instances.set(instance, (instances.get(instance) ?? 0) + 1);
    }
    const sent = [...this.#sent.values()];
    return {
      requests: sent.reduce((sum, count) => sum + count, 0),
      byKind: this.#sent,
      failed: this.#failed,
      failedSafe: this.#failed.filter(({ kind }) => !UNSAFE.has(kind)),
      duplicated: [...taken].filter(([, times]) => times > 1).map(([order]) => order),
      lost: this.#answered.filter((order) => !taken.has(order)),
      instances,
    };
  }

  #tick(): void {
    const elapsedMs = systemClock.monotonic() - this.#startedMs;
    for (const [kind, rate] of RATES) {
      const due = Math.floor((elapsedMs * rate * LOAD) / 1000);
      for (let sent = this.#sent.get(kind)!; sent < due; sent++) this.#send(kind);
      this.#sent.set(kind, due);
    }
  }

  #send(kind: CallKind): void {
    const isOrder = kind === "POST" || kind === "h2 POST" || kind === "gRPC unary";
    const order = isOrder ? `order-${++orders}` : "";
    const sentMs = systemClock.monotonic() - this.#startedMs;
    const done = this.#call(kind, order).then((what) => {
      this.#underWay.delete(done);
      if (what === "") {
        if (isOrder) this.#answered.push(order);
        return;
      }
      const tookMs = systemClock.monotonic() - this.#startedMs - sentMs;
      this.#failed.push({ kind, order, what, sentMs: Math.round(sentMs), tookMs: Math.round(tookMs) });
    });
    this.#underWay.add(done);
  }

  /** "" when it was answered as it must be. */
  #call(kind: CallKind, order: string): Promise<string> {
    switch (kind) {
      case "GET":
      case "POST":
        return this.#overHttp1(kind, order);
      case "h2 GET":
        return this.#overHttp2("GET", order);
      case "h2 POST":
        return this.#overHttp2("POST", order);
      case "gRPC unary":
        return this.#unary(order);
      case "gRPC stream":
        return this.#stream();
    }
  }

  #overHttp1(method: string, order: string): Promise<string> {
    return new Promise((resolve) => {
      const options = { method, agent: this.#agent, headers: { "x-order": order }, timeout: TIMEOUT_MS };
      const sent = request(this.#targets.http1, options, (answer) => {
        let body = "";
        answer.on("data", (chunk: Buffer) => (body += chunk.toString()));
        answer.once("error", (thrown) => resolve(thrown.message));
        answer.once("end", () => resolve(answer.statusCode === 200 ? "" : `${answer.statusCode} ${body}`));
      });
      sent.once("timeout", () => sent.destroy(new Error("no answer in time")));
      sent.once("error", (thrown) => resolve(thrown.message));
      sent.end(method === "POST" ? "one of these" : undefined);
    });
  }

  #overHttp2(method: string, order: string): Promise<string> {
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed) {
      this.#session = connect(this.#targets.http2);
      this.#session.on("error", () => undefined);
    }
    const stream = this.#session.request({ ":method": method, ":path": "/", "x-order": order });
    return new Promise((resolve) => {
      let status = 0;
      let body = "";
      let broken = "";
      stream.setTimeout(TIMEOUT_MS, () => {
        broken = "no answer in time";
        stream.close();
      });
      stream.once("response", (headers) => (status = Number(headers[":status"])));
      stream.on("data", (chunk: Buffer) => (body += chunk.toString()));
      stream.on("error", (thrown: Error) => (broken = thrown.message));
      stream.once("close", () => {
        if (broken === "" && stream.rstCode !== 0) broken = `reset ${stream.rstCode}`;
        resolve(broken !== "" ? broken : status === 200 ? "" : `${status} ${body}`);
      });
      stream.end(method === "POST" ? "one of these" : undefined);
    });
  }

  #unary(order: string): Promise<string> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest("/test.Orders/Place", toBytes, toText, order, deadline(), (error) =>
        resolve(error === null ? "" : `grpc-${error.code} ${error.details}`),
      );
    });
  }

  /** Every message must come back, then an OK. */
  async #stream(): Promise<string> {
    const call = this.#client.makeBidiStreamRequest("/test.Orders/Talk", toBytes, toText, deadline());
    let heard = 0;
    call.on("data", () => heard++);
    call.on("error", () => undefined);
    const statuses: grpc.StatusObject[] = [];
    const status = new Promise<grpc.StatusObject>((resolve) => {
      call.once("status", (one: grpc.StatusObject) => {
        statuses.push(one);
        resolve(one);
      });
    });
    for (let message = 0; message < STREAM_MESSAGES && statuses.length === 0; message++) {
      call.write(`message ${message}`);
      await pause(STREAM_EVERY_MS);
    }
    call.end();
    const { code, details } = await status;
    if (code !== grpc.status.OK) return `grpc-${code} ${details} after ${heard} messages`;
    return heard === STREAM_MESSAGES ? "" : `${heard} of ${STREAM_MESSAGES} messages came back`;
  }
}

const toBytes = (text: string): Buffer => Buffer.from(text);
const toText = (bytes: Buffer): string => bytes.toString();
const deadline = (): grpc.CallOptions => ({ deadline: Date.now() + TIMEOUT_MS });
const hostOf = (url: string): string => new URL(url).host;
