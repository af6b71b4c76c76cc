// An application for end-to-end tests that calls another one, or plays the end of such a chain. Knows nothing of a mesh but
// that x-request-id is passed on. NEXT: name of the variable with the URL of the service that it calls; without one the
// path says what becomes of a request: /status/503, /hang, /drop (the connection), /close (stops listening for a second).
import { createServer, request } from "node:http";

const next = process.env.NEXT === undefined ? undefined : process.env[process.env.NEXT];
const port = Number(process.env.PORT);

const server = createServer((incoming, response) => {
  incoming.resume();
  if (incoming.url === "/health") return void response.end("ok\n");
  if (next === undefined) answer(incoming, response);
  else relay(incoming, response);
});
server.listen(port, "127.0.0.1");

function answer(incoming, response) {
  const [, what = "", value = ""] = incoming.url.split("?")[0].split("/");
  switch (what) {
    case "status":
      response.writeHead(Number(value)).end(`status ${value}\n`);
      break;
    case "hang":
      break;
    case "drop":
      incoming.socket.destroy();
      break;
    case "close":
      response.writeHead(200, { connection: "close" }).end("closed\n");
      server.close();
      server.closeIdleConnections();
      setTimeout(() => server.listen(port, "127.0.0.1"), 3000);
      break;
    default:
      response.end("ok\n");
  }
}

function relay(incoming, response) {
  const headers = {};
  for (const name of ["x-request-id", "version"]) {
    const value = incoming.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  const sent = request(new URL(incoming.url, next), { headers, agent: false }, (answered) => {
    response.writeHead(answered.statusCode);
    answered.pipe(response);
  });
  sent.once("error", () => response.writeHead(502).end("the next service failed\n"));
  sent.end();
}

process.on("SIGTERM", () => process.exit(0));
