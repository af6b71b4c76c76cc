import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { systemClock, TimerWheel } from "@tulle/base";
import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { clientStart, get, headers, settingsAck } from "../testing/http2-frames.js";
import { FlushQueue } from "./flush-queue.js";
import { Http2Transport, type Http2TransportOwner } from "./http2-transport.js";

let server: Server;
let client: Socket;
let socket: Socket;
let wheel: TimerWheel;

beforeEach(async () => {
  const accepted = new Promise<Socket>((resolve) => {
    server = createServer(resolve);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.on("error", () => undefined);
  socket = await accepted;
  wheel = new TimerWheel(systemClock, 100);
});

afterEach(() => {
  vi.restoreAllMocks();
  client.destroy();
  socket.destroy();
  server.close();
  wheel[Symbol.dispose]();
});

test("what a turn leaves of a read is copied once, however many turns it takes", async () => {
  const REQUESTS = 1000;
  let requests = 0;
  const nothing = (): void => undefined;
  const owner = new Proxy({} as Http2TransportOwner, {
    get: (_target, name) => (name === "onHeaders" ? () => void requests++ : nothing),
  });
  const transport = new Http2Transport("server", socket, owner, new FlushQueue(), wheel, {
    limits: { requestsPerTurn: 1, maxConcurrentStreams: REQUESTS },
  });
  const bytes = clientStart(
    settingsAck(),
    ...Array.from({ length: REQUESTS }, (_, i) => headers(2 * i + 1, get())),
  );
  let copied = 0;
  const from = Buffer.from.bind(Buffer) as (...args: unknown[]) => Buffer;
  vi.spyOn(Buffer, "from").mockImplementation(((...args: unknown[]) => {
    if (args[0] instanceof Uint8Array) copied += args[0].length;
    return from(...args);
  }) as typeof Buffer.from);
  client.write(bytes);
  await eventually(() => requests === REQUESTS);
  expect(transport.open).toBe(true);
  expect(copied).toBeLessThan(2 * bytes.length);
});
