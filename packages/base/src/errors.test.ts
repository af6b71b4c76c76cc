import { expect, test } from "vitest";

import { findCause, MeshError, systemErrorCode, unreachable } from "./errors.js";

test("MeshError.from keeps a MeshError and wraps anything else with its cause", () => {
  const known = new MeshError("timeout", "X_Y", "late");
  expect(MeshError.from(known)).toBe(known);
  const cause = new TypeError("boom");
  expect(MeshError.from(cause)).toMatchObject({ kind: "internal", message: "boom", cause });
  expect(MeshError.from("text")).toMatchObject({ kind: "internal", message: "text" });
});

test("systemErrorCode finds the code of a system error beneath others", () => {
  const system = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  const outer = new MeshError("unavailable", "PROXY_CONNECT", "no", {
    cause: new Error("mid", { cause: system }),
  });
  expect(systemErrorCode(outer)).toBe("ECONNREFUSED");
  expect(systemErrorCode(new Error("plain"))).toBeUndefined();
});

test("findCause ends on a cause that is its own cause", () => {
  const loop: Error & { cause?: unknown } = new Error("loop");
  loop.cause = loop;
  expect(findCause(loop, (value): value is never => value === "nothing")).toBeUndefined();
});

test("unreachable throws when types lied", () => {
  expect(() => unreachable("x" as never)).toThrow("unexpected value x");
});
