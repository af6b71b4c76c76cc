import { TimerWheel } from "@tulle/base";
import type { HttpChain, Plan } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { RequestFields } from "../filters/request-headers.js";
import { source } from "../../test/request-source.js";
import { ExchangeRecord } from "./exchange-record.js";
import { ExchangeTimers } from "./exchange-timers.js";
import { TimeLimits, timeForTry } from "./time-limits.js";

class TestRecord extends ExchangeRecord {}

let clock: FakeClock;
let record: TestRecord;
let fields: RequestFields;
let limits: TimeLimits;
let told: string[];

beforeEach(() => {
  clock = new FakeClock();
  record = new TestRecord(source);
  fields = new RequestFields();
  told = [];
  const timers = new ExchangeTimers(
    { clock, fineWheel: new TimerWheel(clock, 10), coarseWheel: new TimerWheel(clock, 500) },
    {
      onDeadline: () => told.push("deadline"),
      onIdle: () => told.push("idle"),
      onRequestTooSlow: () => told.push("request"),
      onTooLong: () => told.push("whole"),
    },
  );
  limits = new TimeLimits(clock, timers, record, fields);
});

function plan(init: Partial<Plan> = {}): Plan {
  return { timeoutMs: 0, idleTimeoutMs: 0, ...init } as Plan;
}

/** When the deadline comes, from the beginning; undefined = not within a minute. */
async function deadlineAt(): Promise<number | undefined> {
  for (let ms = 0; ms <= 60_000; ms += 50) {
    if (told.includes("deadline")) return ms;
    await clock.advance(50);
  }
  return undefined;
}

test.each([
  ["the route's timeout", 500, "", "", 500],
  ["a gRPC client's", 0, "800m", "", 800],
  ["the earlier of both", 500, "800m", "", 500],
  ["the earlier of both, the other way round", 700, "600m", "", 600],
  ["what the caller has left", 0, "", "300", 300],
  ["what the caller has left, where the route allows more", 500, "", "300", 300],
  ["the route's, where the caller has more", 500, "", "3000", 500],
  ["the route's, where the caller says nonsense", 500, "", "soon", 500],
])("TimeLimits limits an answer by %s", async (_what, timeoutMs, grpcTimeout, expectedTimeout, expected) => {
  record.requestDone = true;
  record.grpc = grpcTimeout !== "";
  Object.assign(fields, { grpcTimeout, expectedTimeout });
  limits.begin(undefined, plan({ timeoutMs }), clock.monotonic());
  const at = await deadlineAt();
  expect(at).toBeGreaterThanOrEqual(expected);
  expect(at).toBeLessThanOrEqual(expected + 100);
});

test("TimeLimits counts the route's timeout from the end of the request, and a gRPC client's from its beginning", async () => {
  record.grpc = true;
  fields.grpcTimeout = "1S";
  limits.begin(undefined, plan({ timeoutMs: 300 }), clock.monotonic());
  await clock.advance(500);
  expect(told).toEqual([]);
  record.requestDone = true;
  limits.onRequestEnd();
  await clock.advance(250);
  expect(told).toEqual([]);
  await clock.advance(100);
  expect(told).toEqual(["deadline"]);
});

test("TimeLimits believes what a caller has left only of callers of our own", async () => {
  record = new TestRecord({ ...source, ownCaller: false });
  fields.expectedTimeout = "10";
  const timers = new ExchangeTimers(
    { clock, fineWheel: new TimerWheel(clock, 10), coarseWheel: new TimerWheel(clock, 500) },
    {
      onDeadline: () => told.push("deadline"),
      onIdle: () => undefined,
      onRequestTooSlow: () => undefined,
      onTooLong: () => undefined,
    },
  );
  record.requestDone = true;
  new TimeLimits(clock, timers, record, fields).begin(undefined, plan(), clock.monotonic());
  expect(await deadlineAt()).toBeUndefined();
});

test("TimeLimits cuts a gRPC client's timeout as the route says", async () => {
  Object.assign(record, { requestDone: true, grpc: true });
  fields.grpcTimeout = "9S";
  limits.begin(undefined, plan({ grpcTimeoutMaxMs: 1000, grpcTimeoutOffsetMs: 200 }), clock.monotonic());
  expect(await deadlineAt()).toBeLessThanOrEqual(900);
});

test("TimeLimits limits the whole by the route, else by the listener, and the request by the listener", async () => {
  const chain = { maxDurationMs: 400, requestTimeoutMs: 100 } as HttpChain;
  limits.begin(chain, plan(), clock.monotonic());
  await clock.advance(150);
  expect(told).toEqual(["request"]);
  await clock.advance(300);
  expect(told).toEqual(["request", "whole"]);
  limits.begin(chain, plan({ maxDurationMs: 0 }), clock.monotonic());
  limits.onRequestEnd();
  await clock.advance(1000);
  expect(told).toEqual(["request", "whole"]);
});

test("timeForTry is what is left, and no more than one try may take", () => {
  const now = clock.monotonic();
  const retry = { perTryTimeoutMs: 100 } as Plan["retry"];
  expect(timeForTry(record, plan(), now)).toBe(0);
  record.timeoutMs = 500;
  expect(timeForTry(record, plan({ timeoutMs: 500 }), now)).toBe(500);
  record.attempt.deadlineMs = now + 250.9;
  expect(timeForTry(record, plan(), now)).toBe(250);
  expect(timeForTry(record, plan(), now + 1000)).toBe(1);
  expect(timeForTry(record, plan({ retry }), now)).toBe(100);
  const hedge = { onPerTryTimeout: true } as Plan["hedge"];
  expect(timeForTry(record, plan({ retry, hedge }), now)).toBe(250);
});
