import { readFileSync } from "node:fs";

import * as grpc from "@grpc/grpc-js";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer, type CallOptions } from "./support/http.js";
import { LIBRARY, libraryDescriptors } from "./support/library.js";
import { Mesh } from "./support/mesh.js";
import type { Workload } from "./support/workload.js";

// HTTP with JSON to a gRPC application (@grpc/grpc-js) that knows nothing of it: translated by the application's own sidecar,
// or by a gateway.

const transcoder = (descriptors: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: {name: library}
binaryData: {library.binpb: ${descriptors}}
---
apiVersion: tulle.dev/v1
kind: GrpcJsonTranscoder
metadata: {name: library}
spec:
  targetRefs: [{kind: Service, name: library}]
  services: [library.v1.Library]
  descriptors: {configMap: {name: library, key: library.binpb}}
  autoMapping: true
  maxRequestBodySize: 2000
  maxResponseBodySize: 1000
  requestValidationOptions: {rejectUnknownMethod: true, rejectUnknownQueryParameters: true}
---
apiVersion: tulle.dev/v1
kind: GrpcJsonTranscoder
metadata: {name: edge}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  services: [library.v1.Library]
  descriptors: {inline: ${descriptors}}
  printOptions: {streamNewlineDelimited: true, preserveProtoFieldNames: true, alwaysPrintEnumsAsInts: true}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: web, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: library}
spec:
  hosts: ["*"]
  gateways: [web]
  http:
  - match: [{uri: {prefix: /v1/}}]
    route: [{destination: {host: plain, port: {number: 8080}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: library}
spec:
  selector: {matchLabels: {app: library}}
  action: DENY
  rules: [{to: [{operation: {paths: [/library.v1.Library/ArchiveBook]}}]}]
`;

let mesh: Mesh;
let caller: Workload;
let edge = "";

beforeAll(async () => {
  mesh = await Mesh.start();
  const descriptors = libraryDescriptors(mesh.directory);
  await mesh.apply(transcoder(readFileSync(descriptors).toString("base64")));
  const environment = { DESCRIPTORS: descriptors };
  const run = (service: string): Promise<Workload> => {
    const args = ["--protocol", "grpc", "--label", `app=${service}`];
    return mesh.run({ service, command: LIBRARY, healthPath: "", args, environment });
  };
  const [, , asking, gateway] = await Promise.all([
    run("library"),
    run("plain"),
    mesh.sidecar({ service: "caller", args: ["--upstream", "library:8080"] }),
    mesh.gateway({ ports: [80] }),
  ]);
  caller = asking;
  edge = `http://127.0.0.1:${await gateway.port(80)}`;
  await eventually(async () => (await ask("/v1/books/1")).status === 200);
  await eventually(async () => (await call(`${edge}/v1/books/1`)).status === 200);
}, 60_000);

afterAll(() => mesh?.end());

const ask = (path: string, options: CallOptions = {}): Promise<Answer> =>
  call(`${caller.upstream("library:8080")}${path}`, options);
const json = (body: unknown): CallOptions => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
const of = ({ status, body }: Answer): unknown => [status, JSON.parse(body)];

test("a GET is a call, with variables of its path as fields, and answered in JSON", async () => {
  const answer = await ask("/v1/shelves/1/books/2", { headers: { "x-reader": "Ann" } });
  expect(of(answer)).toEqual([200, { name: "shelves/1/books/2", title: "read by Ann", pageCount: 42 }]);
  expect(answer.headers).toMatchObject({
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(answer.body)),
  });
  expect(answer.headers["grpc-status"]).toBeUndefined();
  expect(of(await ask("/v1/books/a%20b"))).toEqual([200, expect.objectContaining({ name: "a b" })]);
});

test("bodies are a field of the request, or all of it; queries are fields, too", async () => {
  const book = { title: "Emma", pageCount: 3, state: "LENT", authors: ["Austen"] };
  expect(of(await ask("/v1/shelves/7/books?book_id=emma", json(book)))).toEqual([
    200,
    { ...book, name: "shelves/7/books/emma" },
  ]);
  expect(of(await ask("/v1/shelves/7/count?page_size=2&author=a&author=b"))).toEqual([200, "2000000000002"]);
  expect(of(await ask("/library.v1.Library/Collect", json([{ name: "a" }, { name: "b" }])))).toEqual([
    200,
    { books: "2" },
  ]);
});

test("streams are arrays, and one that breaks off is cut", async () => {
  const names = (count: number): object[] =>
    Array.from({ length: count }, (_, index) => ({ name: `shelves/1/books/${index + 1}` }));
  expect(of(await ask("/v1/shelves/1/books?page_size=300"))).toEqual([200, names(300)]);
  expect(of(await ask("/v1/shelves/1/books"))).toEqual([200, []]);
  await expect(ask("/v1/shelves/1/books?page_size=-2")).rejects.toThrow(/aborted|hang up|ECONNRESET/);
});

test("a gateway translates for a service that does not, in lines, as its own object says", async () => {
  const { status, body, headers } = await call(`${edge}/v1/shelves/1/books?page_size=2`);
  expect([status, headers["content-type"], body]).toEqual([
    200,
    "application/x-ndjson",
    '{"name":"shelves/1/books/1"}\n{"name":"shelves/1/books/2"}\n',
  ]);
  const book = { title: "t", page_count: 1, state: 1 };
  const made = await call(`${edge}/v1/shelves/1/books?book_id=1`, json(book));
  expect(of(made)).toEqual([200, { ...book, name: "shelves/1/books/1" }]);
});

test("errors are google.rpc.Status with the HTTP status that they mean", async () => {
  const none = await ask("/v1/books/x%2Fnone");
  expect(of(none)).toEqual([404, { code: 5, message: "no book x/none – really" }]);
  expect(none.headers["x-shelf"]).toBe("closed");
  expect(of(await ask("/v1/none"))).toEqual([404, expect.objectContaining({ code: 5 })]);
  expect(of(await ask("/v1/books/1?none=1"))).toEqual([400, expect.objectContaining({ code: 3 })]);
  expect(of(await ask("/v1/shelves/7/count?page_size=x"))).toEqual([
    400,
    expect.objectContaining({ code: 3 }),
  ]);
  const wrong = await ask("/v1/shelves/7/books", json({ pages: 1 }));
  expect(of(wrong)).toEqual([400, { code: 3, message: expect.stringContaining("pages") }]);
});

test("what the proxy says itself is JSON, too: policies, no instance", async () => {
  const path = "/v1/shelves/1/books/2:archive";
  expect(of(await ask(path, json({ reason: "old" })))).toEqual([403, expect.objectContaining({ code: 7 })]);
  const missing = await call(`${edge}/other`);
  expect(missing.status).toBe(404);
});

test("bodies are bounded, in both directions", async () => {
  const long = await ask("/v1/shelves/7/books", json({ title: "x".repeat(3000) }));
  expect(of(long)).toEqual([413, { code: 8, message: expect.stringContaining("2000 bytes") }]);
  const answer = await ask(`/v1/books/${"x".repeat(1500)}`);
  expect(of(answer)).toEqual([500, { code: 13, message: expect.stringContaining("larger than the limit") }]);
});

test("gRPC goes by as it is", async () => {
  const target = caller.upstream("library:8080").replace("http://", "");
  const client = new grpc.Client(target, grpc.credentials.createInsecure());
  const asked = Buffer.concat([Buffer.from([0x0a, 1]), Buffer.from("n")]);
  const answer = await new Promise<Buffer>((resolve, reject) =>
    client.makeUnaryRequest(
      "/library.v1.Library/GetBook",
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      asked,
      (error, value) => (error === null ? resolve(value!) : reject(error)),
    ),
  );
  expect(answer.toString()).toContain("read by");
  client.close();
});

test("explain says what becomes of a request", async () => {
  const { out } = await mesh.ask("explain", "http://library:8080/v1/books/1", "--from", "caller");
  expect(out).toContain("the request becomes a gRPC call of /library.v1.Library/GetBook");
});

test("wrong descriptors are told of, and nothing is translated", async () => {
  await mesh.apply(`
apiVersion: tulle.dev/v1
kind: GrpcJsonTranscoder
metadata: {name: wrong}
spec:
  targetRefs: [{kind: Service, name: plain}]
  services: [library.v1.None]
  descriptors: {configMap: {name: library, key: library.binpb}}
`);
  const { out } = await mesh.ask("analyze");
  expect(out).toContain("the descriptor set has no service library.v1.None");
});
