// Opens connections, sends one request on each, and holds them. Prints how many there are; ends when stdin does, and when
// one of them is closed.
import { connect } from "node:net";

const { port, count, atOnce } = JSON.parse(process.argv[2]);
const REQUEST = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
const held = [];

function openOne() {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(REQUEST));
    socket.on("error", reject);
    socket.on("close", () => {
      console.error("a connection was closed");
      process.exit(1);
    });
    socket.once("data", (chunk) => {
      if (!chunk.toString("latin1").startsWith("HTTP/1.1 200")) reject(new Error(chunk.toString("latin1")));
      held.push(socket);
      resolve();
    });
  });
}

let left = count;
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (left-- > 0) await openOne();
  }),
);
console.log(JSON.stringify({ held: held.length }));
process.stdin.on("end", () => process.exit(0)).resume();
