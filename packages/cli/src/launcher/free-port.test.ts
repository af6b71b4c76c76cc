import { createServer } from "node:net";

import { expect, test } from "vitest";

import { freePort } from "./free-port.js";

test("freePort keeps away from the ports of outgoing connections", async () => {
  for (const first of [0, 0.5, 0.999_99]) {
    const draws = [first];
    const port = await freePort(() => draws.pop() ?? Math.random());
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(30_000);
  }
});

test("freePort takes another one when somebody listens there", async () => {
  const server = createServer();
  const taken = await freePort();
  await new Promise<void>((resolve) => server.listen(taken, "127.0.0.1", resolve));
  const position = (taken - 20_000 + 0.5) / 10_000;
  const draws = [position, position, 0.9];
  expect(await freePort(() => draws.shift() ?? 0.1)).not.toBe(taken);
  expect(draws).toEqual([]);
  await new Promise((resolve) => server.close(resolve));
  expect(await freePort(() => position)).toBe(taken);
});

test("freePort says what to do when nothing is free", async () => {
  const server = createServer();
  const taken = await freePort();
  await new Promise<void>((resolve) => server.listen(taken, "127.0.0.1", resolve));
  const position = (taken - 20_000 + 0.5) / 10_000;
  await expect(freePort(() => position)).rejects.toThrow("name one with --port");
  server.close();
});
