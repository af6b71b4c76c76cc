import { expect, test } from "vitest";

import { Emitter } from "./emitter.js";

test("Emitter calls its listeners in order until they are disposed", () => {
  const emitter = new Emitter<number>();
  const seen: string[] = [];
  const first = emitter.event((n) => seen.push(`first ${n}`));
  emitter.event((n) => seen.push(`second ${n}`));
  emitter.emit(1);
  first[Symbol.dispose]();
  emitter.emit(2);
  expect(seen).toEqual(["first 1", "second 1", "second 2"]);
});

test("Emitter goes on after a listener threw", () => {
  const thrown: unknown[] = [];
  const emitter = new Emitter<number>((error) => thrown.push(error));
  const seen: number[] = [];
  emitter.event(() => {
    throw new Error("bad listener");
  });
  emitter.event((n) => seen.push(n));
  emitter.emit(1);
  expect(seen).toEqual([1]);
  expect(thrown).toHaveLength(1);
});
