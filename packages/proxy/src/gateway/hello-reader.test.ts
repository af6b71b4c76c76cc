import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { systemClock, TimerWheel } from "@tulle/base";
import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { readHello } from "./hello-reader.js";

const wheel = new TimerWheel(systemClock, 10);
let server: Server | undefined;
let client: Socket | undefined;
afterEach(() => {
  client?.destroy();
  server?.close();
});

/** A ClientHello that asks for `name`, in a record of its own. */
function hello(name: string): Buffer {
  const host = Buffer.from(name);
  const u16 = (value: number) => Buffer.from([value >> 8, value & 255]);
  const list = Buffer.concat([Buffer.from([0]), u16(host.length), host]);
  const extension = Buffer.concat([u16(0), u16(list.length + 2), u16(list.length), list]);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0, 0, 2, 0x13, 0x01, 1, 0]),
    u16(extension.length),
    extension,
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  return Buffer.concat([Buffer.from([22, 3, 1]), u16(message.length), message]);
}

/** What is made of a connection that begins with these pieces. */
async function outcome(pieces: readonly Buffer[], timeoutMs = 2000): Promise<string> {
  return new Promise((resolve) => {
    server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("close", () => resolve("closed"));
      readHello(socket, timeoutMs, wheel, {
        onHello: ({ serverName }, head) => resolve(`hello ${serverName} ${head.length}`),
        onOther: (head) => resolve(`other ${head.length}`),
        onLate: () => resolve("late"),
      });
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server!.address() as AddressInfo;
      client = connect(port, "127.0.0.1", () => void send(client!, pieces));
      client.on("error", () => undefined);
    });
  });
}

async function send(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  socket.setNoDelay(true);
  for (const piece of pieces) {
    await new Promise<void>((done) => socket.write(piece, () => setImmediate(done)));
  }
}

const whole = hello("web.example.com");

test("a ClientHello is read however it is cut", async () => {
  expect(await outcome([whole])).toBe(`hello web.example.com ${whole.length}`);
  client?.destroy();
  server?.close();
  expect(await outcome([...whole].map((byte) => Buffer.from([byte])))).toBe(
    `hello web.example.com ${whole.length}`,
  );
});

test("what is no TLS, or does not come in time, is told apart", async () => {
  expect(await outcome([Buffer.from("GET / HTTP/1.1\r\n\r\n")])).toBe("other 18");
  client?.destroy();
  server?.close();
  expect(await outcome([whole.subarray(0, 20)], 30)).toBe("late");
});

test("a client that leaves before is let go of", async () => {
  const left = outcome([whole.subarray(0, 21)]);
  await eventually(() => client?.bytesWritten === 21);
  client?.end();
  expect(await left).toBe("closed");
});
