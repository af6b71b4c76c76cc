import { expect, test } from "vitest";

import { TryLog } from "./try-log.js";

test("TryLog keeps the first tries and the newest, and counts all", () => {
  const log = new TryLog();
  for (let i = 0; i < 20; i++) {
    const number = log.begin(`10.0.0.${i}:80`, i);
    log.note(number, "connect-failure", 0, "ECONNREFUSED", i + 0.5);
  }
  expect(log.count).toBe(20);
  expect([...log.kept()].map(({ endpoint }) => endpoint)).toEqual([
    ...Array.from({ length: 7 }, (_, i) => `10.0.0.${i}:80`),
    "10.0.0.19:80",
  ]);
});

test("TryLog knows nothing of the request before", () => {
  const log = new TryLog();
  log.note(log.begin("a:1", 0), "answered", 503, "", 1);
  log.clear();
  expect([...log.kept()]).toEqual([]);
  expect(log.lastStatus).toBe(0);
  const number = log.begin("b:1", 5);
  expect(log.isNoted(number)).toBe(false);
  expect([...log.kept()]).toEqual([
    { endpoint: "b:1", startMs: 5, durationMs: 0, outcome: "", status: 0, detail: "" },
  ]);
});

test("TryLog does not give a word about a try whose place is taken to another", () => {
  const log = new TryLog();
  const numbers = Array.from({ length: 9 }, (_, i) => log.begin(`h:${i}`, 0));
  log.note(numbers[7]!, "closed", 0, "", 1);
  expect([...log.kept()].at(-1)).toMatchObject({ endpoint: "h:8", outcome: "" });
});
