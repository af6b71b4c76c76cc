// An application that switches protocols: WebSocket by `ws`, and one of its own. Knows nothing of a mesh.
//   /echo     says everything back; on `close 4001 why` it closes so, on `ping` it pings, and says when it was answered
//   /leaving  says one thing and leaves
//   /refused  401
//   Upgrade: shout/1   every byte back in upper case
// GET /closed tells with which codes clients have closed, anything else what was asked.
import { createServer } from "node:http";

import { WebSocketServer } from "ws";

const closed = [];
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 0 } });

function echo(socket) {
  socket.on("error", () => undefined);
  socket.on("close", (code, reason) => closed.push(`${code} ${reason}`));
  socket.on("pong", (data) => socket.send(`pong ${data}`));
  socket.on("message", (data, isBinary) => {
    const [word, code, reason] = isBinary ? [] : data.toString().split(" ");
    if (word === "close") socket.close(Number(code), reason);
    else if (word === "ping") socket.ping("are you there");
    else socket.send(data, { binary: isBinary });
  });
}

const server = createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  const { method, url, headers } = request;
  response.end(JSON.stringify(url === "/closed" ? closed : { method, url, headers }));
});
server.on("upgrade", (request, socket, head) => {
  socket.on("error", () => undefined);
  if (request.url === "/refused") {
    socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n");
    return;
  }
  if (request.headers.upgrade === "shout/1") {
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout/1\r\n\r\nREADY\n",
    );
    socket.on("data", (chunk) => socket.write(chunk.toString("latin1").toUpperCase(), "latin1"));
    socket.on("end", () => socket.end("BYE\n"));
    return;
  }
  sockets.handleUpgrade(request, socket, head, (websocket) => {
    if (request.url === "/leaving") {
      websocket.send("only this");
      websocket.close(1001, "leaving");
    } else echo(websocket);
  });
});
server.listen(Number(process.env.PORT), "127.0.0.1");
process.once("SIGTERM", () => process.exit(0));
