import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Connection } from "./support/connection.js";
import { Mesh } from "./support/mesh.js";
import type { Workload } from "./support/workload.js";

// Connections to a host that only an egress proxy reaches: another sidecar's outbound port, which takes CONNECT.

const BANNER = [process.execPath, fileURLToPath(new URL("support/apps/banner.mjs", import.meta.url))];
const TARGET = "banner.default.svc.cluster.local";

let mesh: Mesh;
let caller: Workload;
let accessLog: string;
let egressPort: number;

/** `legacy.corp:25` is led to the egress proxy, which is asked for a target. */
function configuration(proxyPort: number, targetHost: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: egress}
spec:
  hosts: [egress.example]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
  ports: [{number: 3128, targetPort: ${proxyPort}, name: tcp, protocol: TCP}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: egress}
spec:
  host: egress.example
  trafficPolicy: {tunnel: {protocol: CONNECT, targetHost: ${targetHost}, targetPort: 8080}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: legacy}
spec:
  hosts: [legacy.corp]
  tcp: [{route: [{destination: {host: egress.example, port: {number: 3128}}}]}]
`;
}

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.run({ service: "banner", command: BANNER, healthPath: "", args: ["--protocol", "tcp"] });
  const egress = await mesh.sidecar({ service: "egress" });
  egressPort = egress.ready.addresses.outbound.port;
  await mesh.apply(configuration(egressPort, TARGET));
  accessLog = join(mesh.directory, "caller.log");
  const args = ["--upstream", "legacy.corp:25", "--access-log", accessLog];
  caller = await mesh.sidecar({ service: "caller", args });
  await caller.knows("outbound|3128||egress.example", 1);
}, 60_000);

afterAll(() => mesh.end());

test("bytes are carried through a CONNECT to the egress proxy, and a server that speaks first is heard", async () => {
  const connection = await eventually(async () => {
    const tried = new Connection(caller, "legacy.corp:25");
    await eventually(() => tried.received !== "" || tried.closed !== "");
    return tried.received === "" ? undefined : tried;
  });
  await connection.expect("220 banner ready\r\n");
  connection.socket.write("hello\r\n");
  await connection.expect("HELLO\r\n");
  connection.socket.end();
  await connection.expect("221 bye\r\n");
  await eventually(() => connection.closed === "end");
});

test("what the egress proxy refuses ends the connection, and the log says why", async () => {
  const refused = () =>
    readFileSync(accessLog, "utf8")
      .split("\n")
      .find((text) => text.includes("UF,URX"));
  await mesh.apply(configuration(egressPort, "nobody.default.svc.cluster.local"));
  await eventually(() => {
    const connection = new Connection(caller, "legacy.corp:25");
    connection.socket.end();
    return refused() !== undefined;
  });
  const line = refused();
  expect(line).toContain("404");
  expect(line).toContain("nobody.default.svc.cluster.local:8080");
});
