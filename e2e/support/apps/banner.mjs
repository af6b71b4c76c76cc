// A server that speaks first, as mail and database servers do: a banner, then every line back in upper case.
import { createServer } from "node:net";

const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => undefined);
  socket.write(`220 ${process.env.INSTANCE_ID} ready\r\n`);
  socket.on("data", (chunk) => socket.write(chunk.toString("latin1").toUpperCase()));
  socket.on("end", () => socket.end("221 bye\r\n"));
});
server.listen(Number(process.env.PORT), process.env.LISTEN ?? "127.0.0.1");
process.once("SIGTERM", () => process.exit(0));
