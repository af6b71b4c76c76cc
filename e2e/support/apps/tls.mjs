// A server of TLS: one line about who it is and which name it was asked for, then every line back.
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";

const { TLS_KEY, TLS_CERT, INSTANCE_ID, PORT, HOST = "127.0.0.1" } = process.env;
const server = createServer({ key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) }, (socket) => {
  socket.on("error", () => undefined);
  socket.write(`${INSTANCE_ID} for ${socket.servername || "nobody"}\n`);
  socket.pipe(socket);
});
server.on("tlsClientError", () => undefined);
server.listen(Number(PORT), HOST);
process.once("SIGTERM", () => process.exit(0));
