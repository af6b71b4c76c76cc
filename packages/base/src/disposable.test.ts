import { expect, test } from "vitest";

import { disposable, DisposableStack, MutableDisposable } from "./disposable.js";

test("DisposableStack disposes in reverse order, once", () => {
  const seen: string[] = [];
  const stack = new DisposableStack();
  stack.defer(() => seen.push("first"));
  stack.use(disposable(() => seen.push("second")));
  stack[Symbol.dispose]();
  stack[Symbol.dispose]();
  expect(seen).toEqual(["second", "first"]);
});

test("DisposableStack disposes at once what comes too late", () => {
  const stack = new DisposableStack();
  stack[Symbol.dispose]();
  let disposed = false;
  stack.defer(() => (disposed = true));
  expect(disposed).toBe(true);
});

test("MutableDisposable disposes the value that another replaces", () => {
  const seen: string[] = [];
  const slot = new MutableDisposable();
  slot.value = disposable(() => seen.push("a"));
  slot.value = disposable(() => seen.push("b"));
  expect(seen).toEqual(["a"]);
  slot[Symbol.dispose]();
  slot.value = disposable(() => seen.push("c"));
  expect(seen).toEqual(["a", "b", "c"]);
  expect(slot.value).toBeUndefined();
});
