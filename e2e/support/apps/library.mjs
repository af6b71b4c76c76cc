// A gRPC application for end-to-end tests: the Library of `library.proto`, whose descriptor set is in the file $DESCRIPTORS.
// Knows nothing of a mesh, of gRPC-Web or of JSON.
import { readFileSync } from "node:fs";

import * as grpc from "@grpc/grpc-js";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const set = fromBinary(FileDescriptorSetSchema, readFileSync(process.env.DESCRIPTORS));
const service = createFileRegistry(set).getService("library.v1.Library");

const definition = Object.fromEntries(
  service.methods.map((method) => [
    method.localName,
    {
      path: `/${service.typeName}/${method.name}`,
      requestStream: method.methodKind === "client_streaming",
      responseStream: method.methodKind === "server_streaming",
      requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
      requestDeserialize: (bytes) => fromBinary(method.input, bytes),
      responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
      responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    },
  ]),
);

const [bookOf, countOf] = ["GetBook", "CountBooks"].map((name) => {
  const { output } = service.methods.find((method) => method.name === name);
  return (fields) => create(output, fields);
});

/** A status with a detail that nobody here knows the type of, and one trailer. */
function failure(code, details) {
  const metadata = new grpc.Metadata();
  metadata.set("x-shelf", "closed");
  return { code, details, metadata };
}

const server = new grpc.Server();
server.addService(definition, {
  getBook({ request: { name }, metadata }, done) {
    const [caller = ""] = metadata.get("x-reader");
    if (name.endsWith("/none")) done(failure(grpc.status.NOT_FOUND, `no book ${name} – really`));
    else done(null, bookOf({ name, title: `read by ${caller}`, pageCount: 42 }));
  },
  createBook({ request: { parent, book, bookId } }, done) {
    done(null, bookOf({ ...book, name: `${parent}/books/${bookId}` }));
  },
  archiveBook({ request: { name, reason } }, done) {
    done(null, bookOf({ name, title: reason, state: 2 }));
  },
  countBooks({ request: { pageSize, author } }, done) {
    done(null, countOf({ books: BigInt(pageSize) + BigInt(author.length) * 1_000_000_000_000n }));
  },
  /** So many books; negative: one, and then an error. */
  listBooks(call) {
    const { parent, pageSize } = call.request;
    for (let index = 1; index <= Math.abs(pageSize); index++)
      call.write(bookOf({ name: `${parent}/books/${index}` }));
    if (pageSize < 0) call.emit("error", failure(grpc.status.RESOURCE_EXHAUSTED, "no more books"));
    else call.end();
  },
  collect(call, done) {
    let books = 0n;
    call.on("data", () => books++);
    call.on("end", () => done(null, countOf({ books })));
  },
});

server.bindAsync(`127.0.0.1:${process.env.PORT}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
process.on("SIGTERM", () => process.exit(0));
