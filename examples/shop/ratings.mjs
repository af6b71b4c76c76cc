// Stars for a book: the same service as ratings.py, for machines without Python.
import { createServer } from "node:http";

createServer((incoming, response) => {
  incoming.resume();
  if (incoming.url === "/health") return void response.end("ok\n");
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ stars: [5, 4] }));
}).listen(Number(process.env.PORT ?? 9081), "127.0.0.1");

process.on("SIGTERM", () => process.exit(0));
