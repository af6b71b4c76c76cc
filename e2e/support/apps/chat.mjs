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
const countCancelled = () => {
  cancelled++;
};

/** Gives a caller back the metadata that it sent for that; returns the trailers. */
function echoMetadata(call) {
  const trailers = new grpc.Metadata();
  const initial = new grpc.Metadata();
  for (const value of call.metadata.get("x-echo-initial")) initial.set("x-echo-initial", value);
  for (const value of call.metadata.get("x-echo-trailing-bin")) trailers.set("x-echo-trailing-bin", value);
  call.sendMetadata(initial);
  return trailers;
}

/** `9|not now`, as the error that a call fails with. */
function failure(text, metadata) {
  const [code, details] = text.split("|");
  return { code: Number(code), details, metadata };
}

server.addService(
  {
    echo: method("Echo", false, false),
    fail: method("Fail", false, false),
    sleep: method("Sleep", false, false),
    cancelled: method("Cancelled", false, false),
    collect: method("Collect", true, false),
    send: method("Send", false, true),
    talk: method("Talk", true, true),
  },
  {
    echo(call, done) {
      const trailers = echoMetadata(call);
      done(null, call.request.text, trailers);
    },
    fail(call, done) {
      done(failure(call.request.text));
    },
    sleep(call) {
      call.on("cancelled", countCancelled);
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
      call.on("cancelled", countCancelled);
    },
    /** A message of each size asked for. */
    send(call) {
      for (const size of call.request.text.split(",")) call.write("x".repeat(Number(size)));
      call.end();
    },
    /** Answers each message; "fail 9|not now" ends the call so, "hush" is not answered. */
    talk(call) {
      const trailers = echoMetadata(call);
      call.on("data", ({ text }) => {
        if (text.startsWith("fail ")) call.emit("error", failure(text.slice(5), trailers));
        else if (text !== "hush") call.write(`you said ${text}`);
      });
      call.on("end", () => call.end(trailers));
      call.on("cancelled", countCancelled);
    },
  },
);

server.bindAsync(`127.0.0.1:${process.env.PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
process.on("SIGTERM", () => process.exit(0));
