// Makes mutual TLS connections one after the other, never resumed, with one request on each: TLS 1.3 tells a client that
// its certificate was taken by answering only. Prints how many and for how long.
import { createSecureContext, connect } from "node:tls";

const { port, host, identity, seconds, atOnce } = JSON.parse(process.argv[2]);
const { cert, key, ca, servername } = identity;
const secureContext = createSecureContext({ cert, key, ca, minVersion: "TLSv1.3" });
const REQUEST = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

function once() {
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        port,
        host: "127.0.0.1",
        secureContext,
        servername,
        ALPNProtocols: ["http/1.1"],
        // Names of the mesh are no DNS names; the chain is verified all the same.
        checkServerIdentity: () => undefined,
      },
      () => {
        if (socket.isSessionReused()) reject(new Error("a session was resumed"));
        socket.write(REQUEST);
      },
    );
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString("latin1")));
    socket.on("error", reject);
    socket.on("close", () => {
      if (text.startsWith("HTTP/1.1 200")) resolve();
      else reject(new Error(`answered: ${text.slice(0, 200)}`));
    });
  });
}

let count = 0;
const since = performance.now();
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (performance.now() - since < seconds * 1000) {
      await once();
      count++;
    }
  }),
);
console.log(JSON.stringify({ count, seconds: (performance.now() - since) / 1000 }));
