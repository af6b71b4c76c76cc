import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { afterAll, beforeAll, expect, test } from "vitest";

import { report } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Large bodies through two sidecars: all of it arrives, and memory does not grow with it.

// BULK_MIB=1024 for a gibibyte.
const MIB = Number(process.env["BULK_MIB"] ?? 256);
const BYTES = MIB * 1_048_576;
/** Both sidecars: what their garbage and their windows take. */
const GROWTH_LIMIT_MIB = 128;
const PIECE = randomBytes(65_536);
let mesh: Mesh;
let server: Server;
let caller: Workload;
let callee: Workload;

beforeAll(async () => {
  server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    const sink = new Sink(socket, async (head) => {
      if (head.startsWith("GET ")) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`);
        await pour(socket);
      } else {
        await sink.full;
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = String((server.address() as AddressInfo).port);
  mesh = await Mesh.start();
  [callee, caller] = await Promise.all([
    mesh.sidecar({ service: "bulk", args: ["--port", port, "--service-port", "8080"] }),
    mesh.sidecar({ service: "caller", args: ["--upstream", "bulk:8080"] }),
  ]);
  await caller.knows(clusterOf("bulk"), 1);
}, 60_000);

afterAll(async () => {
  server?.close();
  await mesh?.end();
});

/** Takes a head, then a body that must be `PIECE` over and over, `BYTES` in all. */
class Sink {
  readonly full: Promise<void>;
  #head = "";
  #at = -1;

  constructor(socket: Socket, onHead: (head: string) => unknown) {
    this.full = new Promise((resolve, reject) => {
      socket.on("close", () => reject(new Error(`ended after ${this.#at} of ${BYTES} bytes: ${this.#head}`)));
      socket.on("data", (chunk: Buffer) => {
        let start = 0;
        if (this.#at < 0) {
          this.#head += chunk.toString("latin1");
          const end = this.#head.indexOf("\r\n\r\n");
          if (end < 0) return;
          start = end + 4 - (this.#head.length - chunk.length);
          this.#head = this.#head.slice(0, end + 4);
          this.#at = 0;
          onHead(this.#head);
        }
        while (start < chunk.length) {
          const from = this.#at % PIECE.length;
          const length = Math.min(chunk.length - start, PIECE.length - from);
          if (PIECE.compare(chunk, start, start + length, from, from + length) !== 0) {
            reject(new Error(`not what was sent, after ${this.#at} bytes`));
            socket.destroy();
            return;
          }
          start += length;
          this.#at += length;
        }
        if (this.#at === BYTES) resolve();
      });
    });
    this.full.catch(() => undefined);
  }
}

async function pour(socket: Socket): Promise<void> {
  for (let sent = 0; sent < BYTES && !socket.destroyed; sent += PIECE.length) {
    if (!socket.write(PIECE)) await once(socket, "drain");
  }
}

function residentMib(): number {
  return [caller, callee].reduce((sum, { process }) => {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, "utf8")) ?? [];
    return sum + Number(kib) / 1024;
  }, 0);
}

test.each([["up"], ["down"]])(
  `${MIB} MiB %s pass whole, and the sidecars keep little of it`,
  async (direction) => {
    const before = residentMib();
    let peak = before;
    const sampling = setInterval(() => (peak = Math.max(peak, residentMib())), 20);
    const since = performance.now();
    const socket = connect(Number(new URL(caller.upstream("bulk:8080")).port), "127.0.0.1");
    try {
      if (direction === "up") {
        const answered = once(socket, "data") as Promise<[Buffer]>;
        socket.write(`PUT / HTTP/1.1\r\nHost: bulk:8080\r\nContent-Length: ${BYTES}\r\n\r\n`);
        await pour(socket);
        expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\ndone$/s);
      } else {
        const sink = new Sink(socket, () => undefined);
        socket.write("GET / HTTP/1.1\r\nHost: bulk:8080\r\n\r\n");
        await sink.full;
      }
    } finally {
      clearInterval(sampling);
      socket.destroy();
    }
    const seconds = (performance.now() - since) / 1000;
    report(
      `bulk-${direction}`,
      `${MIB} MiB in ${seconds.toFixed(2)} s (${(MIB / seconds).toFixed(0)} MiB/s); both sidecars ${before.toFixed(0)} MiB, at most ${(peak - before).toFixed(0)} more`,
    );
    expect(peak - before).toBeLessThan(GROWTH_LIMIT_MIB);
  },
  120_000,
);
