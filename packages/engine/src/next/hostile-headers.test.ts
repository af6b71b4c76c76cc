import fc from "fast-check";
import { expect, test } from "vitest";
import { GIVE_UP, type Plan } from "../contract.js";
import { requestControls } from "../route/request-controls.js";
import { balanced } from "../testing/balanced.js";
import { request } from "../testing/resources.js";
import { next } from "./next.js";

const RETRY = {
  retryPolicy: {
    retryOn: "5xx,retriable-headers",
    numRetries: 3,
    retriableHeaders: [{ name: "x-again" }],
    rateLimitedRetryBackOff: {
      resetHeaders: [{ name: "x-reset", format: 1 }, { name: "retry-after" }],
      maxInterval: { seconds: 10n },
    },
  },
};

const ANSWER_NAMES = [
  "retry-after",
  "Retry-After",
  "x-reset",
  "grpc-retry-pushback-ms",
  "x-again",
  "x-envoy-ratelimited",
];
const CONTROL_NAMES = [
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-max-retries",
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
  "x-envoy-hedge-on-per-try-timeout",
];

const values = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.integer().map(String),
  fc.maxSafeNat().map(String),
  fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
  fc.constantFrom("5xx", "5xx,reset", "503", "true", "-1", "1e9", " 7 ", "9".repeat(30)),
);
const fields = (names: readonly string[]) =>
  fc.array(fc.tuple(fc.constantFrom(...names), values), { maxLength: 8 }).map((list) => list.flat());

test("whatever an answer says, the wait is GIVE_UP or some minutes", () => {
  const mesh = balanced([{ address: "a" }], {}, RETRY);
  fc.assert(
    fc.property(fields(ANSWER_NAMES), fc.constantFrom(200, 429, 503), (headers, status) => {
      const view = { ...mesh.view(1), wallMs: 1_700_000_000_000 };
      const outcome = { kind: "response", status, grpcStatus: -1, headers } as const;
      const delayMs = next(view, mesh.plan, request(), { attempts: 1, triedSlots: [] }, outcome);
      expect(delayMs === GIVE_UP || (delayMs >= 0 && delayMs <= 450_000)).toBe(true);
    }),
  );
});

test("whatever an application asks for, the plan's times and numbers stay within bounds", () => {
  const mesh = balanced([{ address: "a" }], {}, RETRY);
  fc.assert(
    fc.property(fields(CONTROL_NAMES), (headers) => {
      const plan: Plan = requestControls(mesh.plan, headers);
      expect(plan.timeoutMs).toBeGreaterThanOrEqual(0);
      expect(plan.timeoutMs).toBeLessThanOrEqual(0x7fff_ffff);
      const { retry } = plan;
      expect(retry === undefined || (retry.attempts >= 1 && retry.attempts <= 100)).toBe(true);
      expect(retry?.statusCodes.every((code) => code >= 100 && code <= 599) ?? true).toBe(true);
      expect((retry?.perTryTimeoutMs ?? 0) <= 0x7fff_ffff).toBe(true);
    }),
  );
});
