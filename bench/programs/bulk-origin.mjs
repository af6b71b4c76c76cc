// Takes large bodies and throws them away, and sends large bodies. Prints its port.
import { createServer } from "node:http";

const PIECE = Buffer.alloc(131_072, "x");

const server = createServer((request, response) => {
  const bytes = Number(new URL(request.url, "http://origin").searchParams.get("bytes"));
  let received = 0;
  request.on("data", (chunk) => (received += chunk.length));
  request.on("end", () => {
    if (bytes === 0) {
      response.end(String(received));
      return;
    }
    response.writeHead(200, { "content-length": bytes });
    let left = bytes;
    const pour = () => {
      while (left > 0) {
        const length = Math.min(left, PIECE.length);
        left -= length;
        if (!response.write(length === PIECE.length ? PIECE : PIECE.subarray(0, length))) return;
      }
      response.end();
    };
    response.on("drain", pour);
    pour();
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on("end", () => process.exit(0)).resume();
