import { expect, test } from "vitest";

import { createLogger, describeError } from "./logger.js";

function collect(format: "json" | "text"): { lines: string[]; logger: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  return { lines, logger: createLogger({ write: (line) => lines.push(line), now: () => 0, format }) };
}

test("createLogger writes one JSON object a record, with its parents' fields", () => {
  const { lines, logger } = collect("json");
  logger
    .child({ proxy: "a" })
    .info("up", { port: 1, big: 2n, cause: new Error("x", { cause: new Error("y") }) });
  expect(JSON.parse(lines[0]!)).toEqual({
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    message: "up",
    proxy: "a",
    port: 1,
    big: "2",
    cause: "x: y",
  });
});

test("createLogger leaves out what is below its level, for its children too", () => {
  const { lines, logger } = collect("json");
  const child = logger.child({});
  child.debug("hidden");
  logger.setLevel("debug");
  child.debug("shown");
  expect(lines).toHaveLength(1);
  expect(child.enabled("debug")).toBe(true);
});

test("createLogger lets no text forge a second line", () => {
  const { lines, logger } = collect("text");
  logger.info("a\nb", { path: "/x\r\ny \u001b[31m" });
  expect(lines[0]).toBe('1970-01-01T00:00:00.000Z info  a\\nb path="/x\\r\\ny \\u001b[31m"');
});

test("describeError shows thrown values that are no errors", () => {
  expect(describeError(new Error("a", { cause: { code: 1 } }))).toBe('a: {"code":1}');
});

test("a field does not take the place of what the record says itself", () => {
  const lines: string[] = [];
  const logger = createLogger({ now: () => 0, write: (line) => lines.push(line) });
  logger.info("over", { message: "other", level: "error", a: 1 });
  expect(JSON.parse(lines[0]!)).toEqual({
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    message: "over",
    a: 1,
  });
});
