// A gRPC application for end-to-end tests; messages are plain text. Knows nothing of a mesh.
import * as grpc from "@grpc/grpc-js";

const method = (path, requestStream, responseStream) => ({
  path: `/test.Chat/${path}`,
  requestStream,
  responseStream,
  requestSerialize: (text) => Buffer.from(text),
  // The server takes what is falsy for no message.
  requestDeserialize: (bytes) => ({ text: bytes.toString() }),
  responseSerialize: (text) => Buffer.from(text),
  responseDeserialize: (bytes) => bytes.toString(),
});

const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
let cancelled = 0;

server.addService(
  {
    echo: method("Echo", false, false),
    fail: method("Fail", false, false),
    sleep: method("Sleep", false, false),
    cancelled: method("Cancelled", false, false),
    collect: method("Collect", true, false),
    count: method("Count", false, true),
    talk: method("Talk", true, true),
  },
  {
    echo(call, done) {
      const trailers = new grpc.Metadata();
      const initial = new grpc.Metadata();
      for (const value of call.metadata.get("x-echo-initial")) initial.set("x-echo-initial", value);
      for (const value of call.metadata.get("x-echo-trailing-bin"))
        trailers.set("x-echo-trailing-bin", value);
      call.sendMetadata(initial);
      done(null, call.request.text, trailers);
    },
    fail(call, done) {
      const [code, details] = call.request.text.split("|");
      done({ code: Number(code), details });
    },
    sleep(call) {
      call.on("cancelled", () => {
        cancelled++;
      });
    },
    cancelled(_call, done) {
      done(null, String(cancelled));
    },
    collect(call, done) {
      let bytes = 0;
      call.on("data", ({ text }) => {
        bytes += text.length;
      });
      call.on("end", () => done(null, String(bytes)));
    },
    count(call) {
      for (let i = 1; i <= Number(call.request.text); i++) call.write(String(i));
      call.end();
    },
    talk(call) {
      call.on("data", ({ text }) => call.write(`you said ${text}`));
      call.on("end", () => call.end());
      call.on("cancelled", () => {
        cancelled++;
      });
    },
  },
);

server.bindAsync(`127.0.0.1:${process.env.PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
process.on("SIGTERM", () => process.exit(0));
