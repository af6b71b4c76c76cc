import { connect, createServer } from "node:net";

import { delay, MeshError, type Clock } from "@tulle/base";

/** Below what kernels give to outgoing connections (Linux 32768 up, macOS 49152 up), above Tulle's own ports. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;
const TRIES = 100;

/**
 * A loopback port that nothing listens on at this moment. The application takes it a while later, so it is not one that
 * the kernel could give to somebody's outgoing connection meanwhile. Nor could a probe of it connect to itself then.
 *
 * @param random In [0, 1).
 */
export async function freePort(random: () => number = Math.random): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = FIRST_PORT + Math.floor(random() * PORTS);
    if (await canListen(port)) return port;
  }
  const message = `none of ${TRIES} ports from ${FIRST_PORT} up is free on 127.0.0.1; name one with --port`;
  throw new MeshError("unavailable", "NO_FREE_PORT", message);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

const PROBE_EVERY_MS = 20;

/** Resolves true once something accepts connections on a loopback port, or false when `givenUp` settles first. */
export async function waitUntilListening(
  port: number,
  clock: Clock,
  givenUp: Promise<unknown>,
): Promise<boolean> {
  const waiting = { given: false };
  const give = (): boolean => (waiting.given = true);
  void givenUp.then(give, give);
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
