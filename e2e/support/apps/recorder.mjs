// An application for end-to-end tests: answers with the body that it got, or `?bytes=` of its own, and tells at /seen what it
// was asked. Knows nothing of a mesh.
import { createServer } from "node:http";

const seen = [];

createServer((incoming, response) => {
  const url = new URL(incoming.url, "http://localhost");
  const chunks = [];
  incoming.on("error", () => {});
  incoming.on("data", (chunk) => chunks.push(chunk));
  incoming.on("end", () => {
    if (url.pathname === "/health") return void response.end("ok\n");
    if (url.pathname === "/seen") return void response.end(JSON.stringify(seen));
    const body = Buffer.concat(chunks);
    seen.push({ method: incoming.method, url: incoming.url, headers: incoming.headers, bytes: body.length });
    const bytes = url.searchParams.get("bytes");
    response.setHeader("x-recorder", "yes");
    response.end(bytes === null ? body : Buffer.alloc(Number(bytes), "x"));
  });
}).listen(Number(process.env.PORT), process.env.LISTEN ?? "127.0.0.1");

process.on("SIGTERM", () => process.exit(0));
