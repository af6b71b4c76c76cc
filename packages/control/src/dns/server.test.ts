import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { connect, createServer } from "node:net";
import { promisify } from "node:util";
import { silentLogger } from "@tulle/base";
import { createDnsAnswerer, type DnsInstance } from "@tulle/dns";
import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";
import { frame } from "@tulle/dns";
import { startDnsServer, type DnsServer, type DnsServerOptions } from "./server.js";

const instances: DnsInstance[] = Array.from({ length: 60 }, (_, i) => ({
  host: `10.0.0.${i + 1}`,
  port: 8000 + i,
  weight: 1,
  tags: i === 0 ? ["v1"] : [],
  portName: "http",
}));
const answer = createDnsAnswerer(
  {
    service: (_, name) => (name === "api" ? instances : undefined),
    node: () => undefined,
  },
  { random: () => 0.5 },
);

const started: DnsServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.close();
});

async function start(options: Partial<DnsServerOptions> = {}): Promise<DnsServer> {
  const server = await startDnsServer({
    address: "127.0.0.1",
    port: 0,
    answer,
    logger: silentLogger,
    ...options,
  });
  started.push(server);
  return server;
}

const dig = "/usr/bin/dig";

async function runDig(port: number, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(dig, [
    "@127.0.0.1",
    "-p",
    String(port),
    "+time=5",
    "+tries=1",
    ...args,
  ]);
  return stdout;
}

test.skipIf(!existsSync(dig))("dig gets A and SRV records over UDP and TCP", async () => {
  const { port } = await start();
  expect(await runDig(port, "+short", "v1.api.service.consul")).toBe("10.0.0.1\n");
  expect(await runDig(port, "+short", "+tcp", "v1.api.service.consul")).toBe("10.0.0.1\n");
  expect(await runDig(port, "+short", "_api._v1.service.consul", "SRV")).toBe(
    "1 1 8000 0a000001.addr.dc1.consul.\n",
  );
  const server = await runDig(port, "_api._v1.service.consul", "SRV");
  expect(server).toMatch(/0a000001\.addr\.dc1\.consul\.\s+0\s+IN\s+A\s+10\.0\.0\.1/);
});

test.skipIf(!existsSync(dig))("dig retries a truncated answer over TCP and gets all of it", async () => {
  const { port } = await start();
  const all = await runDig(port, "+short", "api.service.consul", "SRV");
  expect(all.trim().split("\n")).toHaveLength(60);
  expect(await runDig(port, "+ignore", "+noedns", "api.service.consul", "SRV")).toMatch(/flags: qr aa tc rd/);
});

test.skipIf(!existsSync(dig))(
  "dig sees NXDOMAIN, NODATA and REFUSED, with the SOA where it belongs",
  async () => {
    const { port } = await start();
    const missing = await runDig(port, "nothing.service.consul");
    expect(missing).toMatch(/status: NXDOMAIN/);
    expect(missing).toMatch(/consul\.\s+0\s+IN\s+SOA/);
    expect(await runDig(port, "api.service.consul", "AAAA")).toMatch(/status: NOERROR.*[\s\S]*AUTHORITY: 1/);
    expect(await runDig(port, "example.com")).toMatch(/status: REFUSED/);
  },
);

function query(id: number): Buffer {
  const labels = ["v1", "api", "service", "consul"].map((label) => String.fromCharCode(label.length) + label);
  const head = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, Buffer.from(labels.join("")), Buffer.from([0, 0, 1, 0, 1])]);
}

test("startDnsServer answers pipelined TCP queries in order", async () => {
  const { port } = await start();
  const socket = connect(port, "127.0.0.1");
  let received = Buffer.alloc(0);
  socket.on("data", (piece) => {
    received = Buffer.concat([received, piece]);
  });
  socket.write(Buffer.concat([frame(query(1)), frame(query(2)), frame(query(3))]));
  const ids = await eventually(() => {
    const found: number[] = [];
    for (let at = 0; at + 4 <= received.length; at += 2 + received.readUInt16BE(at)) {
      found.push(received.readUInt16BE(at + 2));
    }
    return found.length === 3 ? found : undefined;
  });
  expect(ids).toEqual([1, 2, 3]);
  socket.destroy();
});

test("startDnsServer closes idle connections, those beyond its limit, and those that send no queries", async () => {
  const { port } = await start({ idleTimeoutMs: 150, maxConnections: 1 });
  const closed = (bytes?: Buffer) =>
    new Promise<void>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        if (bytes !== undefined) socket.write(bytes);
      });
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      socket.resume();
    });
  const idle = closed();
  await closed();
  await idle;
  await closed(frame(Buffer.from("x")));
});

test("startDnsServer survives garbage and a failing answerer, and goes on answering", async () => {
  let failures = 1;
  const { port } = await start({
    answer: (bytes, transport) => {
      if (failures-- > 0) throw new Error("broken directory");
      return answer(bytes, transport);
    },
  });
  const socket = createSocket("udp4");
  const replies: Buffer[] = [];
  socket.on("message", (bytes) => replies.push(bytes));
  socket.send(Buffer.from("garbage"), port, "127.0.0.1");
  socket.send(Buffer.from([1, 2]), port, "127.0.0.1");
  socket.send(query(42), port, "127.0.0.1");
  const reply = await eventually(() => replies[0]);
  expect(reply.readUInt16BE(0)).toBe(42);
  socket.close();
});

test("startDnsServer says what to do when its port is taken", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => {
    taken.listen(0, "127.0.0.1", resolve);
  });
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await expect(start({ port })).rejects.toMatchObject({ kind: "unavailable", code: "CONTROL_DNS_LISTEN" });
  taken.close();
});

test("startDnsServer stops answering a peer that does not read, and goes on when it does", async () => {
  let asked = 0;
  const { port } = await start({
    answer: () => {
      asked += 1;
      return Buffer.alloc(60_000);
    },
  });
  const socket = connect(port, "127.0.0.1");
  socket.pause();
  socket.on("error", () => undefined);
  const total = 1000;
  socket.write(Buffer.concat(Array.from({ length: total }, () => frame(query(1)))));
  await eventually(() => asked > 0);
  const before = await settledCount(() => asked);
  expect(before).toBeLessThan(total / 2);
  let bytes = 0;
  socket.on("data", (piece) => (bytes += piece.length));
  socket.resume();
  await eventually(() => bytes === total * 60_002);
  socket.destroy();
});

/** The count once it stood still for ten rounds of the event loop's I/O. */
async function settledCount(count: () => number): Promise<number> {
  for (let last = count(), still = 0; ; last = count()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    still = count() === last ? still + 1 : 0;
    if (still === 10) return last;
  }
}
