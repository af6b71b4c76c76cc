// The shop's front page. Knows one address, REVIEWS_URL, and nothing of a mesh.
import { createServer } from "node:http";
import { request } from "node:http";

const reviews = process.env.REVIEWS_URL ?? "http://127.0.0.1:9080";
const PASSED_ON = ["version", "x-request-id", "traceparent", "tracestate"];

createServer((incoming, response) => {
  if (incoming.url === "/health") return void response.end("ok\n");
  const headers = Object.fromEntries(
    PASSED_ON.filter((name) => incoming.headers[name]).map((name) => [name, incoming.headers[name]]),
  );
  const call = request(`${reviews}/reviews`, { headers }, (answer) => {
    response.writeHead(answer.statusCode, {
      "content-type": answer.headers["content-type"] ?? "text/plain",
      "x-reviews-version": answer.headers["x-version"] ?? "",
      "x-reviews-instance": answer.headers["x-instance"] ?? "",
    });
    answer.on("error", () => response.destroy());
    answer.pipe(response);
  });
  call.on("error", (error) => {
    if (!response.headersSent) response.writeHead(502, { "content-type": "text/plain" });
    response.end(`reviews cannot be reached: ${error.message}\n`);
  });
  incoming.resume();
  call.end();
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");

process.on("SIGTERM", () => process.exit(0));
