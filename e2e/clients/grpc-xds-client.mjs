// A gRPC client that finds its servers by xDS, in a process of its own: grpc-js-xds reads its bootstrap from the
// environment when it is loaded. Reads one JSON request a line, `{count, metadata}`, and answers with who was reached:
// `{"answers": {"a": 5}}` or `{"error": "…"}`.
import { createInterface } from "node:readline";

import * as grpc from "@grpc/grpc-js";
import * as xds from "@grpc/grpc-js-xds";

xds.register();

const text = (value) => Buffer.from(value);
const Who = grpc.makeGenericClientConstructor(
  {
    whoami: {
      path: "/test.Who/Ami",
      requestStream: false,
      responseStream: false,
      requestSerialize: text,
      requestDeserialize: String,
      responseSerialize: text,
      responseDeserialize: String,
    },
  },
  "Who",
);
const client = new Who(process.argv[2], grpc.credentials.createInsecure());

function call(metadata) {
  const headers = new grpc.Metadata();
  for (const [name, value] of Object.entries(metadata)) headers.set(name, value);
  return new Promise((resolve, reject) => {
    client.whoami("?", headers, { deadline: Date.now() + 5000 }, (error, answer) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const { count, metadata = {} } = JSON.parse(line);
  const answers = {};
  try {
    for (let n = 0; n < count; n++) {
      const id = await call(metadata);
      answers[id] = (answers[id] ?? 0) + 1;
    }
    process.stdout.write(`${JSON.stringify({ answers })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: error.message })}\n`);
  }
}
client.close();
