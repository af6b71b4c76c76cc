// An application for end-to-end tests: says who it is and what it was asked. Knows nothing of a mesh.
// DELAY_MS: how long an answer takes. EXIT_CODE: what it ends with when told to end. LISTEN: its address (127.0.0.1).
import { createServer } from "node:http";

const delayMs = Number(process.env.DELAY_MS ?? 0);
const instance = process.env.INSTANCE_ID ?? String(process.pid);
const version = process.env.SERVICE_VERSION ?? "";
let served = 0;

createServer((incoming, response) => {
  incoming.resume();
  if (incoming.url === "/health") return void response.end("ok\n");
  if (incoming.url !== "/served") served++;
  const body = JSON.stringify({
    instance,
    version,
    served,
    method: incoming.method,
    url: incoming.url,
    headers: incoming.headers,
  });
  setTimeout(() => {
    response.writeHead(200, {
      "content-type": "application/json",
      // Names that the demo's load generator reads.
      "x-reviews-instance": instance,
      "x-reviews-version": version,
    });
    response.end(body);
  }, delayMs);
}).listen(Number(process.env.PORT), process.env.LISTEN ?? "127.0.0.1");

process.on("SIGTERM", () => process.exit(Number(process.env.EXIT_CODE ?? 0)));
