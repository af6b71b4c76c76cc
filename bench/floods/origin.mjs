// The application behind the proxy under attack: a few bytes, or a megabyte at /large. Prints its port.
import { createServer } from "node:http";

const LARGE = Buffer.alloc(1024 * 1024, "x");
const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume();
  response.end(request.url === "/large" ? LARGE : "ok");
});
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  process.stdout.write(`${server.address().port}\n`);
});
