import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

import { createLogger } from "@tulle/base";
import type { ConnectionSettings } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { expect, onTestFinished, test } from "vitest";

import { KeepAlive } from "./keep-alive.js";

const SETTINGS = {
  keepAliveMs: 60_000,
  keepAliveProbes: 4,
  keepAliveIntervalSeconds: 17,
} as ConnectionSettings;

async function connected(): Promise<Socket> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  return socket;
}

function lines(): { readonly lines: string[]; readonly logger: ReturnType<typeof createLogger> } {
  const written: string[] = [];
  return {
    lines: written,
    logger: createLogger({ level: "debug", write: (line) => written.push(line), now: () => 0 }),
  };
}

/** A socket option as the kernel has it now. */
async function option(socket: Socket, name: number): Promise<number> {
  const { default: koffi } = await import("koffi");
  const getsockopt = koffi
    .load(null)
    .func("int getsockopt(int fd, int level, int name, _Out_ int *value, _Inout_ uint32_t *length)");
  const value = [0];
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  expect(getsockopt(fd, 6, name, value, [4])).toBe(0);
  return value[0]!;
}

const hasKoffi = await import("koffi").then(
  () => process.platform === "linux",
  () => false,
);

test.skipIf(!hasKoffi)("KeepAlive tells the kernel time, number and interval of probes", async () => {
  const socket = await connected();
  new KeepAlive(lines().logger).apply(socket, SETTINGS);
  await eventually(async () => (await option(socket, 6)) === 4);
  expect([await option(socket, 4), await option(socket, 5)]).toEqual([60, 17]);
});

test("KeepAlive says once that it cannot set what Node.js cannot, and sets the rest", async () => {
  const { lines: written, logger } = lines();
  const keepAlive = new KeepAlive(logger, () => Promise.reject(new Error("no koffi")));
  const socket = await connected();
  keepAlive.apply(socket, SETTINGS);
  keepAlive.apply(socket, SETTINGS);
  await eventually(() => written.length > 0);
  expect(written).toHaveLength(1);
  expect(written[0]).toContain("install the optional package koffi");
});

test("KeepAlive does not load anything where only the time is set, and lets go of sockets that are closed", async () => {
  let loads = 0;
  const calls: number[][] = [];
  const keepAlive = new KeepAlive(lines().logger, async () => {
    loads++;
    return (...call) => calls.push(call) > 0;
  });
  const socket = await connected();
  keepAlive.apply(socket, { keepAliveMs: 1000 } as ConnectionSettings);
  keepAlive.apply(socket, {} as ConnectionSettings);
  expect(loads).toBe(0);
  keepAlive.apply(socket, SETTINGS);
  socket.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  expect([loads, calls]).toEqual([1, []]);
});
