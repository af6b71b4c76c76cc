import { expect, test } from "vitest";
import { eventKind } from "./kind.js";

test("check keeps an event's parts and drops the nulls that Go's clients send", () => {
  const parts = {
    involvedObject: { kind: "VirtualService", name: "reviews", namespace: "default" },
    reason: "Rejected",
    message: "m",
    type: "Warning",
    count: 2,
    firstTimestamp: "2026-01-01T00:00:00Z",
    source: { component: "tulle" },
  };
  const checked = eventKind.check({
    apiVersion: "v1",
    kind: "Event",
    metadata: {},
    ...parts,
    eventTime: null,
  });
  expect(checked).toEqual({ ok: true, spec: {}, extra: parts, warnings: [] });
});

test("check refuses an event about nothing, or with a time that is none", () => {
  const checked = eventKind.check({ lastTimestamp: "yesterday" });
  expect(checked.ok ? [] : checked.violations).toEqual([
    { path: "involvedObject", message: "is required: expected an object" },
    { path: "lastTimestamp", message: 'expected a time such as 2026-01-31T12:00:00Z, got "yesterday"' },
  ]);
});
