import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ByteChannel } from "./byte-channel.js";
import { DirectChannel } from "./direct-channel.js";
import { StreamChannel } from "./stream-channel.js";

const KINDS: [string, (socket: Socket) => ByteChannel | undefined][] = [
  ["DirectChannel", (socket) => DirectChannel.open(socket)],
  ["StreamChannel", (socket) => new StreamChannel(socket)],
];

let server: Server;
let client: Socket;
let socket: Socket;

beforeEach(async () => {
  const accepted = new Promise<Socket>((resolve) => {
    server = createServer({ allowHalfOpen: true }, resolve);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => undefined);
  socket = await accepted;
  socket.on("error", () => undefined);
});

afterEach(() => {
  client.destroy();
  socket.destroy();
  server.close();
});

describe.each(KINDS)("%s", (_name, open) => {
  const opened = (): ByteChannel => open(socket) as ByteChannel;

  test("reads what was put back first, then what comes, then the end", async () => {
    let ended = false;
    let received = "";
    socket.on("end", () => (ended = true));
    socket.pause();
    socket.unshift(Buffer.from("one "));
    opened().start((bytes, end) => (received += bytes.toString("latin1", 0, end)));
    client.write("two ");
    await eventually(() => received === "one two ");
    client.end("three");
    await eventually(() => ended);
    expect(received).toBe("one two three");
    expect(socket.destroyed).toBe(false);
  });

  test("a paused channel lets the client wait, and goes on", async () => {
    let received = 0;
    const channel = opened();
    channel.start((_bytes, end) => (received += end));
    channel.pause();
    expect(channel.paused).toBe(true);
    const sent = 32 * 1024 * 1024;
    let taken = false;
    client.write(Buffer.alloc(sent), () => (taken = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken).toBe(false);
    // What was read when the pause came may still arrive.
    expect(received).toBeLessThanOrEqual(64 * 1024);
    channel.resume();
    await eventually(() => received === sent);
    expect(channel.paused).toBe(false);
  });

  test("writes of any size arrive in order and before the end; each is taken once", async () => {
    const channel = opened();
    const chunks: Buffer[] = [];
    let ended = false;
    let taken = 0;
    const sizes = [10, 4_000_000, 100, 2_000_000, 1];
    sizes.forEach((size, i) => {
      if (channel.write(Buffer.alloc(size, i), () => taken++)) taken++;
    });
    socket.end();
    expect(taken).toBeLessThan(sizes.length);
    client.on("end", () => (ended = true)).on("data", (chunk: Buffer) => chunks.push(chunk));
    await eventually(() => ended && taken === sizes.length);
    const all = Buffer.concat(chunks);
    expect(all.equals(Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, i))))).toBe(true);
  });

  test("writes to a client that has gone end the socket, and are still accounted for", async () => {
    const channel = opened();
    let open = 0;
    client.resetAndDestroy();
    while (!socket.closed) {
      if (!channel.write(Buffer.alloc(1_000_000), () => open--)) open++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => open === 0);
    expect(channel.write(Buffer.alloc(1), () => undefined)).toBe(true);
  });

  test("a socket that is given back is a stream again: it waits for its reader, who gets everything in order", async () => {
    let received = "";
    const channel = opened();
    channel.start((bytes, end) => (received += bytes.toString("latin1", 0, end)));
    client.write("first");
    await eventually(() => received === "first");
    channel.write(Buffer.from("out "), () => undefined);
    socket.pause();
    socket.unshift(Buffer.from("put back "));
    channel.release();
    const large = Buffer.alloc(8 * 1024 * 1024, "0123456789");
    let taken = false;
    client.write(large, () => (taken = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken).toBe(false);
    expect(socket.readableLength).toBeLessThan(512 * 1024);
    const chunks: Buffer[] = [];
    let ended = false;
    socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => (ended = true));
    socket.resume();
    client.end();
    await eventually(() => ended);
    const all = Buffer.concat(chunks);
    expect(all.equals(Buffer.concat([Buffer.from("put back "), large]))).toBe(true);
    expect(received).toBe("first");
    // And may be opened again, or written to.
    let answer = "";
    client.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    socket.end("in order");
    await eventually(() => answer === "out in order");
  });

  test("a socket that was given back can have a channel again", async () => {
    const first = opened();
    first.start(() => undefined);
    socket.pause();
    first.release();
    client.write("one ");
    await eventually(() => socket.readableLength === 4);
    let received = "";
    opened().start((bytes, end) => (received += bytes.toString("latin1", 0, end)));
    await eventually(() => received === "one ");
    client.write("two");
    await eventually(() => received === "one two");
  });
});

test("a direct channel tells what the kernel took at once", () => {
  expect(DirectChannel.open(socket)?.write(Buffer.from("x"), () => undefined)).toBe(true);
});
