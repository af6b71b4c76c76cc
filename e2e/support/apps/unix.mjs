// An application that is called on a Unix socket (SOCKET), and asked for its health on PORT.
import { createServer } from "node:http";

const answer = (by) => (request, response) => response.end(`${by} ${request.url}`);
createServer(answer("port")).listen(Number(process.env.PORT), "127.0.0.1");
createServer(answer("socket")).listen(process.env.SOCKET);

process.on("SIGTERM", () => process.exit(0));
