import { writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";

import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";
import { urlOf, type Workload } from "./support/workload.js";

// An application speaks HTTP in the clear; its sidecar speaks TLS to a server outside the mesh, which demands a certificate.

const HOST = "api.example.com";

let mesh: Mesh;
let caller: Workload;
let authority: TestAuthority;
let port: number;
let stopServer: () => void;

beforeAll(async () => {
  authority = await createTestAuthority();
  const { privateKeyPem: key, certificateChainPem: cert } = await authority.issue({
    uris: [],
    dnsNames: [HOST],
  });
  const server = createServer(
    { key, cert, requestCert: true, rejectUnauthorized: false, ca: authority.rootCertificatePem },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      const client = socket.authorized ? socket.getPeerCertificate().subject.CN : "";
      response.end(JSON.stringify({ sni: socket.servername, client, host: request.headers.host }));
    },
  );
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
  stopServer = () => {
    server.closeAllConnections();
    server.close();
  };

  mesh = await Mesh.start();
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec:
  hosts: [${HOST}]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: ${port}}]
  endpoints: [{address: 127.0.0.1}]
`);
  caller = await mesh.sidecar({ service: "caller" });
}, 60_000);

afterAll(async () => {
  await mesh.end();
  stopServer();
});

function rule(tls: string): Promise<void> {
  return mesh.apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec: {host: ${HOST}, trafficPolicy: {tls: {${tls}}}}
`);
}

async function called(): Promise<{ status: number; body: string }> {
  return call(urlOf(caller.ready.addresses.outbound), { headers: { host: HOST } });
}

/** Waits for an answer that says so. */
async function answers(text: string): Promise<string> {
  return eventually(async () => {
    const { body } = await called();
    return body.includes(text) ? body : undefined;
  });
}

test("SIMPLE verifies the server against a file of authorities and names it", async () => {
  const ca = join(mesh.directory, "ca.pem");
  writeFileSync(ca, authority.rootCertificatePem);
  await rule(`mode: SIMPLE, caCertificates: ${ca}`);
  expect(JSON.parse(await answers("sni"))).toEqual({ sni: HOST, client: "", host: HOST });
});

test("a server with another name is refused, and explain says what is asked of it", async () => {
  await rule(
    `mode: SIMPLE, caCertificates: ${join(mesh.directory, "ca.pem")}, subjectAltNames: [other.example]`,
  );
  await eventually(async () => (await called()).status === 503);
  const { output } = await tulle({
    args: ["explain", `http://${HOST}/`, "--from", "caller"],
    environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
    logFile: join(mesh.directory, "explain.log"),
  });
  expect(output).toMatch(new RegExp(`TLS +with other.example, server name ${HOST}`));
});

test("MUTUAL shows a certificate from a Secret, which changes without a restart and stands in no dump", async () => {
  const secretOf = async (commonName: string): Promise<string> => {
    const issued = await authority.issue({ uris: [], commonName });
    const text = (value: string): string => Buffer.from(value).toString("base64");
    await mesh.apply(`
apiVersion: v1
kind: Secret
metadata: {name: api-client}
type: kubernetes.io/tls
data:
  tls.crt: ${text(issued.certificateChainPem)}
  tls.key: ${text(issued.privateKeyPem)}
  ca.crt: ${text(authority.rootCertificatePem)}
`);
    return issued.privateKeyPem;
  };
  const key = await secretOf("first");
  await rule("mode: MUTUAL, credentialName: api-client");
  expect(JSON.parse(await answers("first"))).toEqual({ sni: HOST, client: "first", host: HOST });
  await secretOf("second");
  await answers("second");
  const admin = urlOf(caller.ready.addresses.admin);
  const dump = (await call(`${admin}/config_dump?include_eds`)).body;
  expect(dump).toContain("api-client");
  expect(dump).not.toContain(key.split("\n")[1]);
  expect(dump).not.toMatch(/PRIVATE KEY|LS0tLS1CRUdJTiBQUklWQVRF/);
});
