import { once } from "node:events";
import { createServer, request } from "node:http";
import { type AddressInfo, type Socket, connect, createServer as createTcpServer } from "node:net";
import { expect, test } from "vitest";
import type { RequestHead, ResponseHead } from "./contract.js";
import { writeLastChunk, writeRequestHead } from "./encode.js";
import { GrowingBuffer } from "./growing-buffer.js";
import { createRequestParser } from "./request-parser.js";
import { createResponseParser } from "./response-parser.js";
import { Recorder } from "./testing/record-events.js";
import { writeChunk } from "./testing/write-chunk.js";

/** What node:http's client sends, byte for byte: our parser must read the same as node:http's server would. */
async function sentByNode(options: object, body: readonly string[]): Promise<Recorder<RequestHead>> {
  const recorder = new Recorder<RequestHead>();
  const parser = createRequestParser(recorder);
  const server = createTcpServer((socket: Socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      parser.execute(chunk, 0, chunk.length);
      if (recorder.events.at(-1)?.type === "end" || parser.error) {
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      }
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const outgoing = request({ ...options, host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  for (const piece of body) outgoing.write(piece);
  outgoing.end();
  const [response] = await once(outgoing, "response");
  response.resume();
  await once(response, "end");
  server.close();
  expect(parser.error).toBeUndefined();
  return recorder;
}

test.each([
  ["GET", { headers: { "X-A": "b", Accept: "*/*" } }, [], "none", ""],
  ["POST", { headers: { "Content-Length": 5 } }, ["ab", "cde"], "length", "abcde"],
  ["PUT", {}, ["ab", "cde", "f".repeat(70_000)], "chunked", `abcde${"f".repeat(70_000)}`],
])("createRequestParser reads what node:http sends: %s", async (method, options, body, framing, text) => {
  const recorder = await sentByNode({ method, path: "/p?q", ...options }, body);
  expect(recorder.heads[0]).toMatchObject({ method, target: "/p?q", framing });
  const bodies = recorder.events.flatMap((event) => (event.type === "body" ? [event.text] : []));
  expect(bodies.join("")).toBe(text);
});

test("node:http reads what the encoders write, and createResponseParser what node:http answers", async () => {
  const seen: unknown[] = [];
  const server = createServer((incoming, outgoing) => {
    let text = "";
    incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
    incoming.on("end", () => {
      seen.push([incoming.method, incoming.url, incoming.rawHeaders, text, incoming.rawTrailers]);
      if (incoming.url === "/length") outgoing.setHeader("Content-Length", 2);
      if (incoming.url === "/trailers") outgoing.setHeader("Trailer", "Sum");
      if (incoming.url === "/empty") outgoing.statusCode = 204;
      if (incoming.url === "/early") outgoing.writeEarlyHints({ link: "</a>; rel=preload" });
      if (incoming.url === "/trailers") outgoing.addTrailers({ Sum: "1" });
      outgoing.end(incoming.url === "/empty" ? undefined : "ok");
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {});
  const recorder = new Recorder<ResponseHead>();
  const parser = createResponseParser(recorder);
  const paths = ["/length", "/trailers", "/empty", "/early", "/head"];
  const sink = new GrowingBuffer();
  const finished = new Promise<void>((resolve) => {
    let next = 0;
    const send = (): void => {
      const path = paths[next++];
      if (path === undefined) return resolve();
      const method = path === "/head" ? "HEAD" : "POST";
      parser.expect(method);
      writeRequestHead(sink, method, path, ["Host", "a", "Transfer-Encoding", "chunked"]);
      writeChunk(sink, Buffer.from("body"), 0, 4);
      writeLastChunk(sink, ["T", "v"]);
      socket.write(sink.take());
    };
    recorder.after = (type) => {
      if (type === "end") send();
    };
    send();
  });
  socket.on("data", (chunk) => parser.execute(chunk, 0, chunk.length));
  await finished;
  socket.destroy();
  server.close();
  expect(parser.error).toBeUndefined();
  expect(seen).toEqual(
    paths.map((path) => [
      path === "/head" ? "HEAD" : "POST",
      path,
      ["Host", "a", "Transfer-Encoding", "chunked"],
      "body",
      ["T", "v"],
    ]),
  );
  expect(recorder.heads.map((head) => [head.status, head.framing])).toEqual([
    [200, "length"],
    [200, "chunked"],
    [204, "none"],
    [103, "none"],
    [200, expect.stringMatching(/length|chunked/)],
    [200, "none"],
  ]);
  expect(recorder.events).toContainEqual({ type: "end", trailers: ["Sum", "1"] });
});
