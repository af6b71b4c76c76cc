import { expect, test } from "vitest";

import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { joinLearnt, LearntPorts, silenceAfter } from "./learnt-ports.js";

test("LearntPorts waits for no client after a server that spoke first, and again after a client that did", () => {
  const ports = new LearntPorts(new MetricsRegistry());
  expect(ports.silenceMs("db:1", 50)).toBe(50);
  ports.learn("db:1", "server-first", silenceAfter("server-first", 50));
  expect(ports.silenceMs("db:1", 50)).toBe(0);
  expect(ports.silenceMs("web:1", 50)).toBe(50);
  expect(ports.all()).toEqual([{ port: "db:1", verdict: "server-first", silenceMs: 0 }]);
  ports.learn("db:1", "http1", silenceAfter("http1", 50));
  expect(ports.silenceMs("db:1", 50)).toBe(50);
  expect(ports.all()).toEqual([{ port: "db:1", verdict: "http1", silenceMs: 50 }]);
});

test("LearntPorts forgets the port that was not seen for longest", () => {
  const ports = new LearntPorts(new MetricsRegistry(), 2);
  for (const port of ["a", "b", "a", "c"]) ports.learn(port, "server-first", 0);
  expect(ports.all().map(({ port }) => port)).toEqual(["a", "c"]);
  expect(ports.silenceMs("b", 50)).toBe(50);
});

test("LearntPorts counts verdicts by port, or by a label for those without a name", () => {
  const metrics = new MetricsRegistry();
  const ports = new LearntPorts(metrics);
  ports.learn("db:1", "tcp", 50);
  ports.learn("db:1", "tcp", 50);
  ports.learn("192.0.2.1:1", "tls", 50, "unknown");
  const text = prometheusText(metrics);
  expect(text).toContain('tulle_protocol_detections_total{port="db:1",verdict="tcp"} 2');
  expect(text).toContain('tulle_protocol_detections_total{port="unknown",verdict="tls"} 1');
});

test("joinLearnt has each port of several threads once", () => {
  const [one, other] = [new LearntPorts(new MetricsRegistry()), new LearntPorts(new MetricsRegistry())];
  one.learn("a", "tcp", 50);
  one.learn("b", "tls", 50);
  other.learn("a", "server-first", 0);
  expect(joinLearnt([one.all(), other.all(), []])).toEqual([
    { port: "a", verdict: "server-first", silenceMs: 0 },
    { port: "b", verdict: "tls", silenceMs: 50 },
  ]);
});
