import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { Wire } from "./support/wire.js";
import { urlOf, type Workload } from "./support/workload.js";

// What a policy denies, asked for by the bytes that other proxies were fooled with. Either the policy refuses it, or it is no
// HTTP, or the application is asked for what is really something else.

let mesh: Mesh;
let web: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  web = await mesh.run({ service: "web", args: ["--protocol", "http"] });
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: secret}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: [/admin, "/admin/*"]}}]
  - to: [{operation: {hosts: [secret.com, xn--bcher-kva.example]}}]
  - to: [{operation: {methods: [DELETE]}}]
  - when: [{key: "request.headers[x-role]", values: [admin]}]
`);
  await eventually(async () => (await call(`${urlOf(web.ready.addresses.inbound)}/admin`)).status === 403);
}, 60_000);

afterAll(() => mesh.end());

/** The status of the answer and, of a 200, what the application was asked for. */
async function send(head: readonly string[]): Promise<string> {
  const wire = Wire.dial(web.ready.addresses.inbound.port);
  wire.write(`${head.join("\r\n")}\r\nConnection: close\r\n\r\n`);
  const text = await wire.receiveAll();
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? "closed";
  return status === "200" ? `200 ${/"url":"([^"]*)"/.exec(text)?.[1]}` : status;
}

const get = (target: string, ...fields: string[]): readonly string[] => [
  `GET ${target} HTTP/1.1`,
  ...(fields.length === 0 ? ["Host: web:8080"] : fields),
];

const DENIED: readonly (readonly [string, readonly string[]])[] = [
  ...[
    "/x/../admin",
    "/x/%2e%2e/admin",
    "/x/.%2e/admin",
    "/x/..;/admin",
    "/./admin",
    "/%2e/admin",
    "//admin",
  ].map((target) => [`AZ-01 ${target}`, get(target)] as const),
  ...["/x%2f..%2fadmin", "/%2fadmin", "/admin%2f", "/%5cadmin", String.raw`/x\..\admin`].map(
    (target) => [`AZ-02 ${target}`, get(target)] as const,
  ),
  ...["/%61dmin", "/admin%00"].map((target) => [`AZ-03 ${target}`, get(target)] as const),
  ...["/admin;a=b", "/admin?", "/admin/"].map((target) => [`AZ-04 ${target}`, get(target)] as const),
  ...[
    "Secret.com",
    "secret.com.",
    "secret.com:80",
    "secret.com:",
    "SECRET.COM.:8080",
    "xn--BCHER-kva.example",
  ].map((host) => [`AZ-05 Host ${host}`, get("/", `Host: ${host}`)] as const),
  ["AZ-05 an absolute form beside another Host", get("http://secret.com/", "Host: web:8080")],
  ["AZ-06 a field that comes twice", get("/", "Host: web:8080", "X-Role: user", "x-role: admin")],
  ["AZ-06 the same, the other way round", get("/", "Host: web:8080", "x-role: admin", "X-Role: user")],
  ["AZ-06 a field that is a list", get("/", "Host: web:8080", "x-role: user, admin")],
  ["AZ-07 a method in lower case", ["delete / HTTP/1.1", "Host: web:8080"]],
  ["AZ-07 a method in mixed case", ["DeLeTe / HTTP/1.1", "Host: web:8080"]],
];

test.each(DENIED)("%s is denied", async (_name, head) => {
  expect(await send(head)).toBe("403");
});

const MALFORMED: readonly (readonly [string, readonly string[]])[] = [
  ["AZ-02 a backslash that begins the target", get(String.raw`\admin`)],
  ["AZ-03 bytes that are no ASCII", get("/\xef\xbd\x81dmin")],
  ["AZ-04 a fragment", get("/admin#x")],
  ["AZ-05 a port with a leading zero", get("/", "Host: secret.com:080")],
  ["AZ-05 a name that is no ASCII", get("/", "Host: b\xc3\xbccher.example")],
  ["AZ-05 two Host fields", get("/", "Host: web:8080", "Host: secret.com")],
];

test.each(MALFORMED)("%s is no request", async (_name, head) => {
  expect(await send(head)).toBe("400");
});

const OTHERS: readonly (readonly [string, readonly string[], string])[] = [
  ...["/ADMIN", "/%2561dmin", "/%c0%afadmin", "/..%c0%af", "/%EF%BD%81dmin"].map(
    (target) => [`AZ-03 ${target}`, get(target), target] as const,
  ),
  ...["/admin,x", "/admin%20", "/admin."].map((target) => [`AZ-04 ${target}`, get(target), target] as const),
  [
    "AZ-05 an absolute form that is not denied, beside a Host that is",
    get("http://web:8080/a", "Host: secret.com"),
    "/a",
  ],
  [
    "AZ-07 a method that a field asks for",
    get("/a", "Host: web:8080", "X-HTTP-Method-Override: DELETE"),
    "/a",
  ],
];

test.each(OTHERS)("%s is something else, to the application too", async (_name, head, url) => {
  expect(await send(head)).toBe(`200 ${url}`);
});

function overHttp2(headers: OutgoingHttpHeaders): Promise<number> {
  return new Promise((resolve) => {
    const session = connectHttp2(urlOf(web.ready.addresses.inbound));
    session.on("error", () => resolve(0));
    const stream = session.request(headers);
    stream.on("error", () => resolve(0));
    stream.on("response", (answer) => resolve(answer[":status"] ?? 0));
    stream.on("close", () => session.destroy());
    stream.resume();
    stream.end();
  });
}

test.each<[string, OutgoingHttpHeaders, number]>([
  ["AZ-01", { ":path": "/x/%2e%2e/admin" }, 403],
  ["AZ-02", { ":path": "/x%2f..%2fadmin" }, 403],
  ["AZ-03", { ":path": "/%61dmin" }, 403],
  ["AZ-04", { ":path": "/admin;a=b" }, 403],
  ["AZ-05 an authority in capitals", { ":authority": "SECRET.com" }, 403],
  ["AZ-05 host as the authority", { host: "web:8080" }, 200],
  // RFC 9113 section 8.3.1: malformed, so the stream is reset.
  ["AZ-05 an authority beside another host", { ":authority": "secret.com", host: "web:8080" }, 0],
  ["AZ-05 host beside another authority", { host: "secret.com" }, 0],
  ["AZ-06", { "x-role": ["user", "admin"] }, 403],
  ["AZ-07", { ":method": "delete" }, 403],
])("over HTTP/2, %s: %j", async (_name, headers, status) => {
  expect(await overHttp2({ ":path": "/a", ":authority": "web:8080", ...headers })).toBe(status);
});
