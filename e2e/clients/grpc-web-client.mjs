// A gRPC-Web client of others' (@connectrpc/connect-web, as browsers run it). Reads one JSON request a line, `{url, method,
// request, headers}`, and answers with the messages that came, headers and trailers, or the error: `{"messages": […]}`,
// `{"error": {"code": 5, "message": "…"}}`. The service's descriptor set is in the file $DESCRIPTORS.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { create, createFileRegistry, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const set = fromBinary(FileDescriptorSetSchema, readFileSync(process.env.DESCRIPTORS));
const service = createFileRegistry(set).getService("library.v1.Library");

async function answer({ url, method: name, request, headers = {}, timeoutMs }) {
  const client = createClient(service, createGrpcWebTransport({ baseUrl: url }));
  const method = service.methods.find((each) => each.localName === name);
  const message = fromJson(method.input, request);
  const seen = { messages: [], headers: {}, trailers: {} };
  const options = {
    headers,
    timeoutMs,
    onHeader: (came) => Object.assign(seen.headers, Object.fromEntries(came)),
    onTrailer: (came) => Object.assign(seen.trailers, Object.fromEntries(came)),
  };
  try {
    if (method.methodKind === "unary")
      seen.messages.push(toJson(method.output, await client[name](message, options)));
    else
      for await (const one of client[name](create(method.input, message), options))
        seen.messages.push(toJson(method.output, one));
  } catch (thrown) {
    const { code, rawMessage, metadata } = ConnectError.from(thrown);
    seen.error = { code, name: Code[code], message: rawMessage, metadata: Object.fromEntries(metadata) };
  }
  return seen;
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
