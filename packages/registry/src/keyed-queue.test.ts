import { settle } from "@tulle/testkit";
import { expect, test } from "vitest";
import { KeyedQueue } from "./keyed-queue.js";

test("KeyedQueue runs tasks of a key in order and those of others beside them, failures or not", async () => {
  const queue = new KeyedQueue(10);
  const log: string[] = [];
  let open: (() => void) | undefined;
  const first = queue.run("a", () =>
    new Promise<void>((resolve) => (open = resolve)).then(() => void log.push("a1")),
  );
  const second = queue.run("a", () => Promise.reject(new Error("a2")));
  const third = queue.run("a", async () => void log.push("a3"));
  await queue.run("b", async () => void log.push("b1"));
  expect(log).toEqual(["b1"]);
  open?.();
  await first;
  await expect(second).rejects.toThrow("a2");
  await third;
  expect(log).toEqual(["b1", "a1", "a3"]);
});

test("KeyedQueue refuses tasks beyond its limit and takes them again later", async () => {
  const queue = new KeyedQueue(1);
  let open: (() => void) | undefined;
  const first = queue.run("a", () => new Promise<void>((resolve) => (open = resolve)));
  await expect(queue.run("b", () => Promise.resolve())).rejects.toMatchObject({ code: "REGISTRY_BUSY" });
  open?.();
  await first;
  await settle();
  await queue.run("b", () => Promise.resolve());
});
