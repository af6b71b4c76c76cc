// Reviews of a book; version 2 adds stars, which it asks of the ratings service at RATINGS_URL.
// PUT /fault?status=500 breaks this instance, PUT /fault?status=0 mends it: that is for showing failures.
import { createServer, request } from "node:http";

const ratings = process.env.RATINGS_URL ?? "http://127.0.0.1:9081";
const version = process.env.SERVICE_VERSION ?? "v1";
const instance = process.env.INSTANCE_ID ?? String(process.pid);
const texts = ["An extremely entertaining play.", "Absolutely fun and entertaining."];
let fault = 0;

createServer((incoming, response) => {
  incoming.resume();
  const url = new URL(incoming.url, "http://localhost");
  if (url.pathname === "/health") return void response.end("ok\n");
  if (url.pathname === "/fault" && incoming.method === "PUT") {
    fault = Number(url.searchParams.get("status") ?? 0);
    return void response.end(`fault ${fault}\n`);
  }
  response.setHeader("x-version", version);
  response.setHeader("x-instance", instance);
  if (fault > 0) return void response.writeHead(fault).end("broken on purpose\n");
  const headers = incoming.headers["x-request-id"]
    ? { "x-request-id": incoming.headers["x-request-id"] }
    : {};
  const call = request(`${ratings}/ratings`, { headers }, (answer) => {
    const chunks = [];
    answer.on("data", (chunk) => chunks.push(chunk));
    answer.on("error", () => failed(response, "ratings broke off"));
    answer.on("end", () => {
      if (answer.statusCode !== 200) return failed(response, `ratings answered ${answer.statusCode}`);
      const stars = JSON.parse(Buffer.concat(chunks).toString()).stars;
      const reviews = texts.map((text, i) => (version === "v1" ? { text } : { text, stars: stars[i] }));
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ version, instance, reviews }));
    });
  });
  call.on("error", (error) => failed(response, `ratings cannot be reached: ${error.message}`));
  call.end();
}).listen(Number(process.env.PORT ?? 9080), "127.0.0.1");

function failed(response, why) {
  if (!response.headersSent) response.writeHead(502, { "content-type": "text/plain" });
  response.end(`${why}\n`);
}

process.on("SIGTERM", () => process.exit(0));
