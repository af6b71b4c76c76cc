// One process that answers in four protocols, each on a port that is given: HTTP/1.1, HTTP/2, gRPC and bytes; at $HOST,
// or on loopback. Knows nothing of a mesh. HTTP answers have 64 KiB; a gRPC stream and bytes come back as they are.
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createTcpServer } from "node:net";

import * as grpc from "@grpc/grpc-js";

const [http1, http2, grpcPort, tcp] = process.argv.slice(2).map(Number);
const { HOST = "127.0.0.1" } = process.env;
const BODY = Buffer.alloc(65_536, "x");

function answer(incoming, response) {
  incoming.on("error", () => undefined);
  response.on("error", () => undefined);
  incoming.resume();
  response.writeHead(200, { "content-length": BODY.length });
  response.end(BODY);
}

createServer(answer).listen(http1, HOST);
createHttp2Server(answer).listen(http2, HOST);
createTcpServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => undefined);
  socket.pipe(socket);
}).listen(tcp, HOST);

const server = new grpc.Server();
const same = (value) => value;
const talk = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};
server.addService(
  { talk: { path: "/test.Origin/Talk", requestStream: true, responseStream: true, ...talk } },
  {
    talk(call) {
      call.on("error", () => undefined);
      call.on("data", (message) => call.write(message));
      call.on("end", () => call.end());
    },
  },
);
server.bindAsync(`${HOST}:${grpcPort}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  process.stdout.write("ready\n");
});
