import * as fc from "fast-check";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { HealthCheckSchema } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { expect, test } from "vitest";
import { createLoadTable } from "../load/load-table.js";
import type { HealthCheckSettings } from "../snapshot/health-check-settings.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { edsCluster } from "../testing/resources.js";
import { CheckState, inRanges, nextCheckMs } from "./check-state.js";
import { encodeHealthRequest, readServingStatus } from "./grpc-health.js";
import { OrderedMatch } from "./payload.js";

type Init = MessageInitShape<typeof HealthCheckSchema>;

const seconds = (value: number) => create(DurationSchema, { seconds: BigInt(value) });
const HTTP = { healthChecker: { case: "httpHealthCheck", value: { path: "/healthz" } } } as const;
const TIMES = { timeout: seconds(1), interval: seconds(5) };

function compiled(...inits: Init[]): HealthCheckSettings | string {
  const source = createSnapshotSource({ load: createLoadTable({ maxSlots: 8 }) });
  const [rejection] = source.apply([edsCluster("c", { healthChecks: inits })]);
  return rejection?.message ?? source.current.cluster("c")!.healthCheck!;
}

function settings(init: Init = {}): HealthCheckSettings {
  const made = compiled({ ...TIMES, ...HTTP, ...(init as object) });
  if (typeof made === "string") throw new Error(made);
  return made;
}

test("a check has Envoy's defaults", () => {
  expect(settings()).toMatchObject({
    probe: {
      kind: "http",
      method: "GET",
      path: "/healthz",
      host: "",
      expected: [{ start: 200, end: 201 }],
      retriable: [],
      responseBytes: 1024,
    },
    timeoutMs: 1000,
    intervalMs: 5000,
    unhealthyThreshold: 1,
    healthyThreshold: 1,
    reuseConnection: true,
    noTrafficMs: 60_000,
    noTrafficHealthyMs: 60_000,
    unhealthyMs: 5000,
    unhealthyEdgeMs: 5000,
    healthyEdgeMs: 5000,
  });
});

test("checks that are the same have the same key, others have not", () => {
  const tcp = (text: string): string =>
    settings({
      healthChecker: { case: "tcpHealthCheck", value: { send: { payload: { case: "text", value: text } } } },
    }).key;
  expect(tcp("00ff")).toBe(tcp("00FF"));
  expect(tcp("00ff")).not.toBe(tcp("00fe"));
});

test.each<[string, readonly Init[]]>([
  ["health_checks: must have one entry at most", [{}, {}]],
  ["health_checks[0].interval: must be set, and above zero", [{ timeout: seconds(1), ...HTTP }]],
  ["health_checks[0].timeout: must be set, and above zero", [{ interval: seconds(1), ...HTTP }]],
  ["health_checks[0]: must set one of http_health_check", [TIMES]],
  [
    'health_checks[0].custom_health_check: "thrift" is not supported: use HTTP, TCP, gRPC or Redis',
    [{ ...TIMES, healthChecker: { case: "customHealthCheck", value: { name: "thrift" } } }],
  ],
  [
    "http_health_check.path: must be a path",
    [{ ...TIMES, healthChecker: { case: "httpHealthCheck", value: { path: "healthz\r\nx: y" } } }],
  ],
  [
    "expected_statuses[0]: must be statuses from 100 on",
    [
      {
        ...TIMES,
        healthChecker: {
          case: "httpHealthCheck",
          value: { path: "/", expectedStatuses: [{ start: 200n, end: 601n }] },
        },
      },
    ],
  ],
  [
    "tcp_health_check.receive[0]: must be bytes in hexadecimal",
    [
      {
        ...TIMES,
        healthChecker: {
          case: "tcpHealthCheck",
          value: { receive: [{ payload: { case: "text", value: "abc" } }] },
        },
      },
    ],
  ],
  ["health_checks[0].tls_options: is not supported", [{ ...TIMES, ...HTTP, tlsOptions: {} }]],
])("a check is refused: %s", (message, inits) => {
  expect(compiled(...inits)).toContain(message);
});

test("as many failures as the threshold says turn an endpoint, and as many passes turn it back", () => {
  const at = settings({ unhealthyThreshold: 3, healthyThreshold: 2 });
  const state = new CheckState();
  expect(state.passed(at)).toBe("none");
  expect([state.failed(at, false), state.failed(at, false), state.healthy]).toEqual([
    "pending",
    "pending",
    true,
  ]);
  expect(state.passed(at)).toBe("none");
  expect([state.failed(at, false), state.failed(at, false), state.failed(at, false)]).toEqual([
    "pending",
    "pending",
    "changed",
  ]);
  expect(state.healthy).toBe(false);
  expect([state.passed(at), state.failed(at, false), state.passed(at), state.passed(at)]).toEqual([
    "pending",
    "none",
    "pending",
    "changed",
  ]);
  expect(state.healthy).toBe(true);
});

test("the first outcome decides by itself, and so does an endpoint's own word", () => {
  const at = settings({ unhealthyThreshold: 3, healthyThreshold: 3 });
  const state = new CheckState();
  expect([state.failed(at, false), state.healthy]).toEqual(["changed", false]);
  const other = new CheckState();
  other.passed(at);
  expect([other.failed(at, true), other.healthy]).toEqual(["changed", false]);
});

test("the time until the next check depends on state, edge and traffic", () => {
  const at = settings({
    noTrafficInterval: seconds(60),
    noTrafficHealthyInterval: seconds(90),
    unhealthyInterval: seconds(7),
    unhealthyEdgeInterval: seconds(1),
    healthyEdgeInterval: seconds(2),
  });
  const next = (healthy: boolean, transition: "none" | "pending" | "changed", traffic = true): number =>
    nextCheckMs(at, healthy, transition, traffic, () => 0);
  expect([next(true, "none"), next(true, "changed"), next(true, "pending")]).toEqual([5000, 5000, 1000]);
  expect([next(false, "none"), next(false, "changed"), next(false, "pending")]).toEqual([7000, 7000, 2000]);
  expect([next(true, "none", false), next(false, "none", false)]).toEqual([90_000, 60_000]);
  const jittered = settings({ intervalJitterPercent: 50, intervalJitter: seconds(1) });
  expect(nextCheckMs(jittered, true, "none", true, () => 0.5)).toBe(5000 + 1250 + 500);
});

test("inRanges leaves out the end", () => {
  const ranges = [{ start: 200, end: 300 }];
  expect([199, 200, 299, 300].map((status) => inRanges(status, ranges))).toEqual([false, true, true, false]);
});

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

function containsInOrder(body: Uint8Array, wanted: readonly Uint8Array[]): boolean {
  const match = new OrderedMatch(wanted);
  match.push(body);
  return match.complete;
}

test("OrderedMatch finds the same however the bytes are split", () => {
  const letters = fc
    .array(fc.constantFrom(0x61, 0x62), { maxLength: 12 })
    .map((list) => Uint8Array.from(list));
  const parts = fc.array(
    fc
      .array(fc.constantFrom(0x61, 0x62), { minLength: 1, maxLength: 3 })
      .map((list) => Uint8Array.from(list)),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(letters, parts, fc.array(fc.nat(12), { maxLength: 4 }), (body, wanted, cuts) => {
      const match = new OrderedMatch(wanted);
      let start = 0;
      for (const end of [
        ...cuts.map((cut) => Math.min(cut, body.length)).sort((a, b) => a - b),
        body.length,
      ]) {
        match.push(body.slice(start, end));
        start = end;
      }
      const text = String.fromCharCode(...body);
      const pattern = new RegExp(wanted.map((part) => String.fromCharCode(...part)).join("[^]*?"));
      expect(match.complete).toBe(pattern.test(text));
    }),
  );
});

test("OrderedMatch finds each behind the one before", () => {
  const body = bytes("+PONG and then OK");
  expect(containsInOrder(body, [])).toBe(true);
  expect(containsInOrder(body, [bytes("PONG"), bytes("OK")])).toBe(true);
  expect(containsInOrder(body, [bytes("OK"), bytes("PONG")])).toBe(false);
  expect(containsInOrder(bytes("abab"), [bytes("ab"), bytes("ab")])).toBe(true);
  expect(containsInOrder(bytes("aba"), [bytes("ab"), bytes("ba")])).toBe(false);
});

test("readServingStatus reads what a server writes, with fields that it does not know before and behind", () => {
  expect(readServingStatus(Uint8Array.of(0x08, 1))).toBe(1);
  expect(readServingStatus(Uint8Array.of())).toBe(0);
  expect(readServingStatus(Uint8Array.of(0x12, 2, 9, 9, 0x08, 2, 0x1d, 0, 0, 0, 0))).toBe(2);
  expect(readServingStatus(Uint8Array.of(0x08))).toBeUndefined();
  expect(readServingStatus(Uint8Array.of(0x12, 5, 1))).toBeUndefined();
  expect(readServingStatus(Uint8Array.of(0x00, 1))).toBeUndefined();
});

test("readServingStatus takes any bytes and never fails", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (message) => {
      const status = readServingStatus(message);
      expect(status === undefined || (Number.isInteger(status) && status >= 0)).toBe(true);
    }),
  );
});

test("encodeHealthRequest puts the service in field 1", () => {
  expect([...encodeHealthRequest(bytes("ab"))]).toEqual([0x0a, 2, 0x61, 0x62]);
  expect([...encodeHealthRequest(new Uint8Array())]).toEqual([]);
  expect([...encodeHealthRequest(new Uint8Array(200)).subarray(0, 3)]).toEqual([0x0a, 0xc8, 0x01]);
});
