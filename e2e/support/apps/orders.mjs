// An application that takes orders and writes each one down before it answers: PROTOCOL http1, http2 or grpc. Knows
// nothing of a mesh. LEDGER: the file that it appends `<order id> <instance>` to. DELAY_MS: how long an answer takes.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";

import * as grpc from "@grpc/grpc-js";

const { PROTOCOL, LEDGER, PORT, INSTANCE_ID } = process.env;
const delayMs = Number(process.env.DELAY_MS ?? 0);
const take = (id) => appendFileSync(LEDGER, `${id} ${INSTANCE_ID}\n`);

function serve(incoming, response) {
  incoming.on("error", () => undefined);
  response.on("error", () => undefined);
  incoming.resume();
  incoming.on("end", () => {
    if (incoming.method === "POST") take(incoming.headers["x-order"]);
    setTimeout(() => {
      if (response.destroyed) return;
      response.writeHead(200, { "x-instance": INSTANCE_ID });
      response.end("taken\n");
    }, delayMs);
  });
}

const method = (path, requestStream, responseStream) => ({
  path: `/test.Orders/${path}`,
  requestStream,
  responseStream,
  requestSerialize: (text) => Buffer.from(text),
  requestDeserialize: (bytes) => ({ text: bytes.toString() }),
  responseSerialize: (text) => Buffer.from(text),
  responseDeserialize: (bytes) => bytes.toString(),
});

function serveGrpc() {
  const server = new grpc.Server();
  server.addService(
    { place: method("Place", false, false), talk: method("Talk", true, true) },
    {
      place(call, done) {
        take(call.request.text);
        setTimeout(() => done(null, INSTANCE_ID), delayMs);
      },
      talk(call) {
        call.on("error", () => undefined);
        call.on("data", ({ text }) => call.write(text));
        call.on("end", () => call.end());
      },
    },
  );
  server.bindAsync(`127.0.0.1:${PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
}

if (PROTOCOL === "grpc") serveGrpc();
else
  (PROTOCOL === "http2" ? createHttp2Server(serve) : createServer(serve)).listen(Number(PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
