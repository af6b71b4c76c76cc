import { connect, createServer, type AddressInfo } from "node:net";

import { delay, type Clock } from "@tulle/base";

/** A loopback port that nothing listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

const PROBE_EVERY_MS = 20;

/** Resolves true once something accepts connections on a loopback port, or false when `givenUp` resolves first. */
export async function waitUntilListening(
  port: number,
  clock: Clock,
  givenUp: Promise<unknown>,
): Promise<boolean> {
  const waiting = { given: false };
  void givenUp.then(() => (waiting.given = true));
  while (!waiting.given) {
    if (await accepts(port)) return true;
    await delay(clock, PROBE_EVERY_MS);
  }
  return false;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
