import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { Agent } from "node:https";
import { createServer as createTlsServer, connect as connectTls } from "node:tls";
import { connect as connectHttp2 } from "node:http2";

import { findKind } from "@tulle/api";
import { createTestAuthority, eventually, type TestAuthority, type TestCertificate } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { secureCall, type Gateway } from "./support/gateway.js";
import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";

// A gateway as its users run it: Gateways, VirtualServices and Secrets in, clients of the outside world at its ports.

let mesh: Mesh;
let gateway: Gateway;
let authority: TestAuthority;
let clients: TestAuthority;
let shop: TestCertificate;
let bank: TestCertificate;
const servers: { close(): void }[] = [];

const indented = (text: string): string => text.trimEnd().replaceAll("\n", "\n    ");

const secret = (
  name: string,
  { certificateChainPem, privateKeyPem }: TestCertificate,
  roots = "",
): string => `
apiVersion: v1
kind: Secret
metadata: {name: ${name}}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    ${indented(certificateChainPem)}
  tls.key: |
    ${indented(privateKeyPem)}
${roots === "" ? "" : `  ca.crt: |\n    ${indented(roots)}`}
`;

const issue = (name: string): Promise<TestCertificate> => authority.issue({ uris: [], dnsNames: [name] });

/** Listens on loopback and registers the server as a service that has no sidecar. */
async function serve(service: string, server: Server, protocol = "tcp"): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  const { port } = server.address() as AddressInfo;
  const body = { ID: `${service}-1`, Name: service, Address: "127.0.0.1", Port: port };
  await call(`${mesh.server}/v1/agent/service/register`, {
    method: "PUT",
    body: JSON.stringify({ ...body, Meta: { "tulle-protocol": protocol } }),
  });
}

beforeAll(async () => {
  [mesh, authority, clients] = await Promise.all([
    Mesh.start(),
    createTestAuthority(),
    createTestAuthority(),
  ]);
  [shop, bank] = await Promise.all([issue("*.example.com"), issue("bank.example.com")]);
  const directory = mesh.directory;
  const file = await issue("file.test");
  writeFileSync(join(directory, "file.crt"), file.certificateChainPem);
  writeFileSync(join(directory, "file.key"), file.privateKeyPem);
  await Promise.all([
    mesh.run({ service: "web" }),
    serve(
      "echo",
      createTcpServer((socket) => socket.pipe(socket)),
    ),
    serve(
      "greeter",
      createTcpServer((socket) => socket.end("welcome")),
    ),
    serve(
      "plain",
      createHttpServer(({ url, headers }, response) => response.end(JSON.stringify({ url, headers }))),
      "http",
    ),
    serve(
      "vault",
      createTlsServer({ cert: bank.certificateChainPem, key: bank.privateKeyPem }, (socket) =>
        socket.end("sealed"),
      ),
    ),
  ]);
  await mesh.apply(`${secret("shop", shop)}---${secret("bank", bank, clients.rootCertificatePem)}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, protocol: HTTP, name: http}, hosts: [web.example.com]}
  - {port: {number: 80, protocol: HTTP, name: redirect}, hosts: [shop.example.com], tls: {httpsRedirect: true}}
  - {port: {number: 443, protocol: HTTPS, name: shop}, hosts: ["*.example.com"], tls: {mode: SIMPLE, credentialName: shop}}
  - {port: {number: 443, protocol: HTTPS, name: bank}, hosts: [bank.example.com], tls: {mode: MUTUAL, credentialName: bank}}
  - {port: {number: 443, protocol: TLS, name: vault}, hosts: [vault.example.com], tls: {mode: PASSTHROUGH}}
  - port: {number: 444, protocol: HTTPS, name: file}
    hosts: ["*"]
    tls: {mode: SIMPLE, serverCertificate: ${directory}/file.crt, privateKey: ${directory}/file.key}
  - {port: {number: 7, protocol: TCP, name: echo}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example.com, shop.example.com, file.test]
  gateways: [public]
  http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bank}
spec:
  hosts: [bank.example.com]
  gateways: [public]
  http: [{route: [{destination: {host: plain}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes}
spec:
  hosts: ["*"]
  gateways: [public]
  tls: [{match: [{sniHosts: [vault.example.com]}], route: [{destination: {host: vault}}]}]
  tcp:
  - {match: [{port: 7, sourceSubnet: 127.0.0.8/29}], route: [{destination: {host: greeter}}]}
  - {match: [{port: 7}], route: [{destination: {host: echo}}]}
`);
  gateway = await mesh.gateway({ ports: [7, 80, 443, 444, 8080] });
  await gateway.knows("outbound|8080||web.default.svc.cluster.local", 1);
}, 90_000);

afterAll(async () => {
  await mesh?.end();
  for (const server of servers) server.close();
}, 60_000);

interface Seen {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

test("plaintext is routed by Host, and what only proxies say is taken from clients", async () => {
  const url = `http://127.0.0.1:${await gateway.port(80)}/a`;
  const forged = {
    "x-forwarded-for": "6.6.6.6",
    "x-forwarded-proto": "https",
    "x-envoy-external-address": "6.6.6.6",
    "x-envoy-original-path": "/admin",
    "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/default/sa/admin",
    "x-request-id": "mine",
    "x-kept": "kept",
  };
  const answer = await call(url, { headers: { host: "web.example.com:80", ...forged } });
  const { headers } = JSON.parse(answer.body) as Seen;
  expect(headers).toMatchObject({
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-kept": "kept",
  });
  expect(headers["x-request-id"]).not.toBe("mine");
  expect(headers["x-forwarded-client-cert"]).not.toContain("admin");
  for (const name of ["x-envoy-external-address", "x-envoy-original-path"])
    expect(headers).not.toHaveProperty(name);
  expect((await call(url, { headers: { host: "nobody.example.com" } })).status).toBe(404);
});

test("HTTP is redirected to HTTPS where a server says so", async () => {
  const url = `http://127.0.0.1:${await gateway.port(80)}/a?b=c`;
  const { status, headers } = await call(url, { headers: { host: "shop.example.com" } });
  expect(status).toBe(301);
  expect(headers["location"]).toBe("https://shop.example.com/a?b=c");
});

test("AZ-05: the name that TLS asks for chooses certificate and routes, and no request goes by another", async () => {
  const port = await gateway.port(443);
  const ca = authority.rootCertificatePem;
  const answer = await secureCall(port, { servername: "shop.example.com", ca });
  expect([answer.status, answer.serial]).toEqual([200, shop.serialNumber]);
  expect((JSON.parse(answer.body) as Seen).headers).toMatchObject({ "x-forwarded-proto": "https" });
  // A name that no server has, and none: refused before a certificate is shown.
  await expect(secureCall(port, { servername: "shop.example.org", ca })).rejects.toThrow(/unrecognized name/);
  await expect(secureCall(port, { servername: "", ca })).rejects.toThrow();
  // A host without routes, and one that another server has.
  const other = await secureCall(port, {
    servername: "shop.example.com",
    ca,
    headers: { host: "x.example.com" },
  });
  expect(other.status).toBe(404);
  const misdirected = { servername: "shop.example.com", ca, headers: { host: "bank.example.com" } };
  expect((await secureCall(port, misdirected)).status).toBe(421);
});

test("HTTP/2 is spoken where the client offers it", async () => {
  const gatewayPort = await gateway.port(443);
  const session = connectHttp2("https://shop.example.com", {
    createConnection: () =>
      connectTls({
        host: "127.0.0.1",
        port: gatewayPort,
        servername: "shop.example.com",
        ca: authority.rootCertificatePem,
        ALPNProtocols: ["h2"],
      }),
  });
  const stream = session.request({ ":path": "/h2", ":authority": "shop.example.com" });
  const status = await new Promise((resolve, reject) => {
    stream.on("response", (headers) => resolve(headers[":status"]));
    stream.on("error", reject);
  });
  session.destroy();
  expect(status).toBe(200);
});

test("a server with MUTUAL lets in clients with a certificate of its roots only, and tells who they are", async () => {
  const port = await gateway.port(443);
  const base = { servername: "bank.example.com", ca: authority.rootCertificatePem };
  const [good, foreign, expired] = await Promise.all([
    clients.issue({ uris: ["spiffe://partner/shop"], commonName: "shop" }),
    authority.issue(),
    clients.issueExpired(),
  ]);
  const show = ({ certificateChainPem: cert, privateKeyPem: key }: TestCertificate) =>
    secureCall(port, { ...base, cert, key });
  const { status, body, serial } = await show(good);
  expect([status, serial]).toEqual([200, bank.serialNumber]);
  expect((JSON.parse(body) as Seen).headers["x-forwarded-client-cert"]).toContain(
    "URI=spiffe://partner/shop",
  );
  await expect(secureCall(port, base)).rejects.toThrow();
  await expect(show(foreign)).rejects.toThrow();
  await expect(show(expired)).rejects.toThrow();
});

test("TLS passes as it is where a server says so, and bytes go to their service", async () => {
  const port = await gateway.port(443);
  const text = await new Promise<string>((resolve, reject) => {
    let all = "";
    const ca = authority.rootCertificatePem;
    const socket = connectTls({
      host: "127.0.0.1",
      port,
      servername: "vault.example.com",
      ca,
      checkServerIdentity: () => undefined,
    });
    socket.on("data", (chunk: Buffer) => (all += chunk.toString()));
    socket.on("error", reject);
    socket.on("end", () => resolve(all));
  });
  expect(text).toBe("sealed");
  const tcpPort = await gateway.port(7);
  const answerTo = (localAddress: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port: tcpPort, host: "127.0.0.1", localAddress }, () => socket.write("hello"));
      socket.on("error", reject);
      socket.once("data", (chunk: Buffer) => {
        resolve(chunk.toString());
        socket.destroy();
      });
    });
  expect(await answerTo("127.0.0.1")).toBe("hello");
  // Clients of some addresses go elsewhere.
  expect(await answerTo("127.0.0.9")).toBe("welcome");
});
/** Calls without pause, by connections that are kept and by new ones, until told to stop; gives what went wrong. */
function load(
  port: number,
  servername: string,
): () => Promise<{ readonly done: number; readonly failures: readonly string[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const stopped = new AbortController();
  let done = 0;
  const failures: string[] = [];
  const worker = async (options: { readonly agent?: Agent }): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        const { status } = await secureCall(port, {
          servername,
          ca: authority.rootCertificatePem,
          ...options,
        });
        if (status !== 200) failures.push(String(status));
      } catch (thrown) {
        failures.push(String(thrown));
      }
      done++;
    }
  };
  const workers = [worker({ agent }), worker({ agent }), worker({})];
  return async () => {
    stopped.abort();
    await Promise.all(workers);
    agent.destroy();
    return { done, failures };
  };
}

test("certificates from Secrets and from files are replaced under load without a failed request", async () => {
  const [secretPort, filePort] = [await gateway.port(443), await gateway.port(444)];
  const stops = [load(secretPort, "shop.example.com"), load(filePort, "file.test")];
  const ca = authority.rootCertificatePem;
  for (let round = 0; round < 3; round++) {
    const [next, file] = await Promise.all([issue("*.example.com"), issue("file.test")]);
    await mesh.apply(secret("shop", next));
    writeFileSync(join(mesh.directory, "file.key"), file.privateKeyPem);
    writeFileSync(join(mesh.directory, "file.crt"), file.certificateChainPem);
    await eventually(
      async () =>
        (await secureCall(secretPort, { servername: "shop.example.com", ca })).serial === next.serialNumber,
    );
    await eventually(
      async () => (await secureCall(filePort, { servername: "file.test", ca })).serial === file.serialNumber,
    );
  }
  for (const stop of stops) {
    const { done, failures } = await stop();
    expect(failures).toEqual([]);
    expect(done).toBeGreaterThan(20);
  }
}, 60_000);

test("ports open and close with their Gateways while other ports are not disturbed", async () => {
  const stop = load(await gateway.port(443), "shop.example.com");
  expect(await gateway.isOpen(8080)).toBe(false);
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: more}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, protocol: HTTP2, name: more}, hosts: ["default/web.example.com"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: more}
spec:
  hosts: [web.example.com]
  gateways: [more]
  http: [{directResponse: {status: 200, body: {string: more}}}]
`);
  const url = `http://127.0.0.1:${await gateway.port(8080)}/`;
  await eventually(async () => (await call(url, { headers: { host: "web.example.com" } })).body === "more");
  await mesh.client.resources.delete(findKind("networking.istio.io", "Gateway")!, { name: "more" });
  await eventually(async () => !(await gateway.isOpen(8080)));
  await expect(call(url)).rejects.toThrow();
  expect((await stop()).failures).toEqual([]);
}, 60_000);

const hasTestssl = spawnSync("testssl", ["--version"]).error === undefined;

test.skipIf(!hasTestssl)(
  "testssl.sh finds nothing weak in versions, ciphers and known attacks (Debian package testssl.sh)",
  async () => {
    const port = await gateway.port(443);
    const report = join(mesh.directory, "testssl.json");
    const options = [
      "--quiet",
      "--color",
      "0",
      "--warnings",
      "off",
      "--ip",
      "127.0.0.1",
      "--jsonfile",
      report,
    ];
    const child = spawn("testssl", [...options, "-p", "-s", "-U", `shop.example.com:${port}`], {
      stdio: "ignore",
      env: { ...mesh.environment, HOME: mesh.directory },
    });
    await once(child, "exit");
    const findings = JSON.parse(readFileSync(report, "utf8")) as readonly {
      readonly id: string;
      readonly severity: string;
      readonly finding: string;
    }[];
    expect(findings.find(({ id }) => id === "TLS1_3")).toMatchObject({ severity: "OK" });
    // WARN: what this machine's own OpenSSL cannot ask.
    const weak = findings.filter(({ severity }) => !["OK", "INFO", "WARN"].includes(severity));
    expect(weak).toEqual([]);
  },
  240_000,
);

test("explain says which rule takes a request at the gateway", async () => {
  const explain = async (url: string): Promise<string> => {
    const args = ["explain", "--server", mesh.server, "--from", "ingressgateway", "GET", url];
    const logFile = join(mesh.directory, `explain-${url.length}.log`);
    return (await tulle({ args, environment: mesh.environment, logFile })).output;
  };
  expect(await explain("https://shop.example.com/a")).toContain("by VirtualService default/web http[0]");
  expect(await explain("https://shop.example.org/abc")).toContain(
    "no server of this gateway's Gateways takes https for shop.example.org",
  );
});
