import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { Gateway } from "./support/gateway.js";
import { call } from "./support/http.js";
import { GrpcWebClient, LIBRARY, libraryDescriptors, type WebOutcome } from "./support/library.js";
import { Mesh } from "./support/mesh.js";
import type { Workload } from "./support/workload.js";

// Browsers' calls (gRPC-Web) to a gRPC application that knows nothing of them: @connectrpc/connect-web on one side,
// @grpc/grpc-js on the other, and between them a gateway that translates, one that leaves it to the application's sidecar, or
// the caller's own sidecar.

const RULES = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: web, protocol: GRPC-WEB}, hosts: ["*"]}
  - {port: {number: 81, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: library}
spec:
  hosts: ["*"]
  gateways: [web]
  http:
  - match: [{uri: {prefix: /library.v1.Library/}}]
    corsPolicy:
      allowOrigins: [{exact: "https://shop.example"}]
      allowMethods: [POST]
      allowHeaders: [content-type, x-grpc-web, x-reader]
      exposeHeaders: [x-shelf]
    route: [{destination: {host: library, port: {number: 8080}}}]
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
let gateway: Gateway;
let library: Workload;
let client: GrpcWebClient;
/** Ways to the application, by who translates. */
const urls = { gateway: "", sidecar: "", caller: "", application: "" };

beforeAll(async () => {
  mesh = await Mesh.start();
  const descriptors = libraryDescriptors(mesh.directory);
  client = new GrpcWebClient(descriptors);
  await mesh.apply(RULES);
  const environment = { DESCRIPTORS: descriptors };
  const args = ["--protocol", "grpc-web", "--label", "app=library"];
  const [served, caller, opened] = await Promise.all([
    mesh.run({ service: "library", command: LIBRARY, healthPath: "", args, environment }),
    mesh.sidecar({ service: "caller", args: ["--upstream", "library:8080"] }),
    mesh.gateway({ ports: [80, 81] }),
  ]);
  library = served;
  gateway = opened;
  urls.gateway = `http://127.0.0.1:${await gateway.port(80)}`;
  urls.sidecar = `http://127.0.0.1:${await gateway.port(81)}`;
  urls.caller = caller.upstream("library:8080");
  urls.application = `http://127.0.0.1:${library.ready.appPort}`;
  await eventually(async () => (await get(urls.gateway)).error === undefined);
  await eventually(async () => (await get(urls.caller)).error === undefined);
}, 60_000);

afterAll(async () => {
  client?.stop();
  await mesh?.end();
});

const get = (url: string, name = "shelves/1/books/2"): Promise<WebOutcome> =>
  client.call({ url, method: "getBook", request: { name }, headers: { "x-reader": "Ann" } });

test("the application itself does not understand the client", async () => {
  expect((await get(urls.application)).error).toBeDefined();
});

const WAYS = ["gateway", "sidecar", "caller"] as const;

test.each(WAYS)("unary calls: the %s's proxy translates", async (way) => {
  const { messages, error, headers } = await get(urls[way]);
  expect(error).toBeUndefined();
  expect(messages).toEqual([{ name: "shelves/1/books/2", title: "read by Ann", pageCount: 42 }]);
  expect(headers["content-type"]).toBe("application/grpc-web+proto");
});

test.each(WAYS)("server streams: the %s's proxy translates", async (way) => {
  const request = { parent: "shelves/1", pageSize: 200 };
  const { messages, error } = await client.call({ url: urls[way], method: "listBooks", request });
  expect(error).toBeUndefined();
  expect(messages.map(({ name }) => name)).toEqual(
    Array.from({ length: 200 }, (_, index) => `shelves/1/books/${index + 1}`),
  );
});

test.each(WAYS)("errors come with status, message and trailers: the %s's proxy translates", async (way) => {
  const { error, messages } = await get(urls[way], "shelves/1/books/none");
  expect(messages).toEqual([]);
  expect(error).toMatchObject({ code: 5, message: "no book shelves/1/books/none – really" });
  expect(error?.metadata["x-shelf"]).toBe("closed");
  const request = { parent: "shelves/1", pageSize: -2 };
  const cut = await client.call({ url: urls[way], method: "listBooks", request });
  expect(cut.messages).toHaveLength(2);
  expect(cut.error).toMatchObject({ code: 8, message: "no more books" });
});

test.each(WAYS)("what a policy refuses is a status, too: the %s's proxy translates", async (way) => {
  const { error } = await client.call({ url: urls[way], method: "archiveBook", request: { name: "n" } });
  expect(error).toMatchObject({ code: 7, message: "RBAC: access denied" });
});

test("so is what the gateway has to say itself: no route, no service", async () => {
  const headers = { "content-type": "application/grpc-web+proto" };
  const none = await call(`${urls.gateway}/none.v1.None/Get`, { method: "POST", headers });
  expect(none).toMatchObject({ status: 200, headers });
  expect(none.body).toContain("grpc-status: 12\r\n");
});

test("a client's deadline holds", async () => {
  const request = { parent: "shelves/1", pageSize: 1 };
  const { error, messages } = await client.call({
    url: urls.gateway,
    method: "listBooks",
    request,
    timeoutMs: 5000,
  });
  expect([error, messages.length]).toEqual([undefined, 1]);
});

test.each(WAYS)(
  "bodies as base64, for clients that cannot read bytes: the %s's proxy translates",
  async (way) => {
    const name = "shelves/1/books/7";
    const message = Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]);
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    // Two pieces, each padded, as browsers' clients may send.
    const body = frame.subarray(0, 7).toString("base64") + frame.subarray(7).toString("base64");
    const type = "application/grpc-web-text+proto";
    const headers = { "content-type": type, accept: type };
    const path = "/library.v1.Library/GetBook";
    const answer = await call(`${urls[way]}${path}`, { method: "POST", headers, body });
    expect(answer.headers["content-type"]).toBe(type);
    const groups = answer.body.match(/.{4}/g) ?? [];
    const bytes = Buffer.concat(groups.map((group) => Buffer.from(group, "base64")));
    const first = 5 + bytes.readUInt32BE(1);
    expect(bytes[0]).toBe(0);
    expect(bytes.toString("latin1", 5, first)).toContain(name);
    expect(bytes[first]).toBe(0x80);
    expect(bytes.toString("latin1", first + 5)).toContain("grpc-status: 0\r\n");
    const broken = await call(`${urls[way]}${path}`, { method: "POST", headers, body: "AAAA!" });
    expect(Buffer.from(broken.body, "base64").toString("latin1")).toContain("grpc-status: 3\r\n");
  },
);

test("pages of other sites are let in by the route's CORS policy", async () => {
  const origin = { origin: "https://shop.example" };
  const preflight = await call(`${urls.gateway}/library.v1.Library/GetBook`, {
    method: "OPTIONS",
    headers: {
      ...origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,x-grpc-web",
    },
  });
  expect(preflight.status).toBe(200);
  expect(preflight.headers).toMatchObject({
    "access-control-allow-origin": "https://shop.example",
    "access-control-allow-methods": "POST",
  });
  const { headers, error } = await client.call({
    url: urls.gateway,
    method: "getBook",
    request: { name: "a" },
    headers: origin,
  });
  expect(error).toBeUndefined();
  expect(headers).toMatchObject({
    "access-control-allow-origin": "https://shop.example",
    "access-control-expose-headers": "x-shelf",
  });
});

test("metrics and logs know the calls as gRPC", async () => {
  const metrics = await library.metrics();
  expect(metrics).toMatch(/istio_requests_total\{[^}]*request_protocol="grpc"[^}]*grpc_response_status="5"/);
});
