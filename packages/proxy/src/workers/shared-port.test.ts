import { once } from "node:events";
import { connect, createServer } from "node:net";

import { afterEach, expect, test } from "vitest";

import { listenTcp } from "../listener/tcp-listener.js";
import { hasReusePort, startOnSharedPort } from "./shared-port.js";

const closings: (() => void)[] = [];

afterEach(() => {
  for (const close of closings.splice(0)) close();
});

async function listen(host: string, port: number, taken: () => void = () => undefined): Promise<number> {
  const onDrop = (): void => undefined;
  const options = { name: "test", host, port, maxConnections: 10, onDrop };
  const listener = await listenTcp(
    {
      ...options,
      onConnection: (socket) => {
        taken();
        socket.destroy();
      },
    },
    startOnSharedPort,
  );
  closings.push(() => listener.stopAccepting());
  return listener.address.port;
}

test.skipIf(process.platform !== "linux").each(["127.0.0.1", "::1", "localhost"])(
  "listeners on %s share a port, and connections go to each of them",
  async (host) => {
    const counts = [0, 0];
    const port = await listen(host, 0, () => counts[0]!++);
    expect(await listen(host, port, () => counts[1]!++)).toBe(port);
    for (let i = 0; i < 60; i++) {
      const socket = connect(port, host === "localhost" ? "127.0.0.1" : host);
      socket.resume();
      await once(socket, "close");
    }
    expect(counts[0]! + counts[1]!).toBe(60);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  },
);

test.skipIf(process.platform !== "linux")("a port that somebody has for himself is refused", async () => {
  const server = createServer();
  closings.push(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await expect(listen("127.0.0.1", port)).rejects.toMatchObject({
    code: "PROXY_LISTEN_FAILED",
    message: expect.stringContaining("EADDRINUSE") as string,
  });
});

test("hasReusePort knows the versions of Node.js that have the option", () => {
  const versions = ["20.19.0", "22.11.0", "22.12.0", "22.20.1", "23.0.0", "23.1.0", "24.0.0"];
  expect(versions.filter(hasReusePort)).toEqual(["22.12.0", "22.20.1", "23.1.0", "24.0.0"]);
});
