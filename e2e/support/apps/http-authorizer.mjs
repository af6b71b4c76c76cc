// An authorization service over HTTP: the path says the status, after `/check`.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  const status = Number(/^\/check\/(\d{3})/.exec(request.url)?.[1] ?? 200);
  response.writeHead(status, { "x-user": `http:${String(request.headers["x-asked"])}`, location: "/login" });
  response.end(`status ${status}`);
});
server.listen(Number(process.env.PORT), "127.0.0.1");
process.once("SIGTERM", () => process.exit(0));
