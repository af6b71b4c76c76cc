import { Agent, request, type IncomingMessage } from "node:http";

import type { Clock, Disposable } from "@tulle/base";

/** One request of a visitor and how it ended. */
export interface Sample {
  /** 0 when no answer came. */
  readonly status: number;
  /** What the answer said it came from: `v1`, `v2` or "". */
  readonly version: string;
  readonly instance: string;
  /** Whether the request asked for v2 by header. */
  readonly asked: boolean;
  readonly latencyMs: number;
  readonly sentAt: number;
  readonly error: string;
}

export interface LoadOptions {
  /** Where the front page is. */
  readonly url: string;
  readonly requestsPerSecond: number;
  /** Share of the requests that carry `version: v2`, 0 to 1. */
  readonly askedShare: number;
  readonly clock: Clock;
  readonly onSample: (sample: Sample) => void;
}

const TICK_MS = 20;
const TIMEOUT_MS = 10_000;
/** More than this under way means that the shop does not keep up; then the load waits. */
const MAX_UNDER_WAY = 256;

export interface Load extends Disposable {
  /** Resolves when nothing is under way; send no more first (dispose). */
  idle(): Promise<void>;
}

/** Visitors at a steady rate, whatever the answers take (an open loop, so that a stall shows as latency). */
export function startLoad(options: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { clock } = options;
  const startedAt = clock.monotonic();
  let sent = 0;
  let underWay = 0;
  let onIdle: (() => void) | undefined;

  const finish = (): void => {
    underWay--;
    if (underWay === 0) onIdle?.();
  };
  const tick = clock.setInterval(() => {
    const due = Math.floor(((clock.monotonic() - startedAt) * options.requestsPerSecond) / 1000);
    while (sent < due && underWay < MAX_UNDER_WAY) {
      const asked = Math.floor((sent + 1) * options.askedShare) > Math.floor(sent * options.askedShare);
      sent++;
      underWay++;
      visit(options, agent, asked, finish);
    }
    // What could not be sent in time is not made up for: that would be a burst.
    sent = Math.max(sent, due - MAX_UNDER_WAY);
  }, TICK_MS);

  return {
    [Symbol.dispose]: () => tick[Symbol.dispose](),
    async idle() {
      if (underWay > 0) await new Promise<void>((resolve) => (onIdle = resolve));
      agent.destroy();
    },
  };
}

function visit(options: LoadOptions, agent: Agent, asked: boolean, finish: () => void): void {
  const { clock } = options;
  const sentAt = clock.monotonic();
  const done = (answer: IncomingMessage | undefined, error: string): void => {
    options.onSample({
      status: answer?.statusCode ?? 0,
      version: header(answer, "x-reviews-version"),
      instance: header(answer, "x-reviews-instance"),
      asked,
      latencyMs: clock.monotonic() - sentAt,
      sentAt,
      error,
    });
    finish();
  };
  const headers = asked ? { version: "v2" } : {};
  const call = request(options.url, { agent, headers, timeout: TIMEOUT_MS }, (answer) => {
    let body = "";
    answer.setEncoding("utf8");
    answer.on("data", (chunk: string) => (body = body.length < 200 ? body + chunk : body));
    answer.once("error", (thrown) => done(undefined, thrown.message));
    answer.once("end", () => done(answer, answer.statusCode === 200 ? "" : body.slice(0, 200)));
  });
  call.once("timeout", () => call.destroy(new Error("no answer in time")));
  call.once("error", (thrown) => done(undefined, thrown.message));
  call.end();
}

function header(answer: IncomingMessage | undefined, name: string): string {
  const value = answer?.headers[name];
  return typeof value === "string" ? value : "";
}
