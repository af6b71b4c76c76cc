import { readFileSync } from "node:fs";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { freePort } from "../packages/cli/src/launcher/free-port.js";
import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { missingPeers, PeerProcess } from "./support/peer-process.js";
import { urlOf, type Workload } from "./support/workload.js";

// Load balancers that tell a sidecar who their client is, and servers that a sidecar tells: both are not of the mesh.

/** Addresses of clients, other than the one that everything else on this machine has. */
const CLIENT = "127.0.0.5";
const OTHER_CLIENT = "127.0.0.6";

const missing = missingPeers("haproxy", "nginx");

describe.skipIf(missing !== "")(`the PROXY protocol${missing}`, () => {
  let mesh: Mesh;
  const peers: PeerProcess[] = [];

  async function haproxy(port: number, sections: string): Promise<void> {
    const configuration = `
defaults
  timeout connect 5s
  timeout client 10s
  timeout server 10s
${sections}
`;
    peers.push(await PeerProcess.start("haproxy", configuration, mesh.directory, port));
  }

  beforeAll(async () => {
    mesh = await Mesh.start();
  }, 60_000);

  afterAll(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    await mesh.end();
  });

  describe("from HAProxy", () => {
    let web: Workload;
    let log: string;

    beforeAll(async () => {
      log = join(mesh.directory, "web-access.log");
      const options = ["--proxy-protocol-from", "127.0.0.1", "--access-log", log];
      web = await mesh.run({ service: "web", args: options });
    }, 60_000);

    async function balancer(send: string): Promise<string> {
      const port = await freePort();
      const { host, port: inbound } = web.ready.addresses.inbound;
      await haproxy(
        port,
        `
listen balancer
  mode tcp
  bind 127.0.0.1:${port}
  server web ${host}:${inbound} ${send}`,
      );
      return `http://127.0.0.1:${port}`;
    }

    test.each(["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])(
      "%s names the client to the application and in the access log",
      async (send) => {
        const url = await balancer(send);
        const { status, body } = await call(`${url}/by/${encodeURIComponent(send)}`, {
          localAddress: CLIENT,
        });
        expect(status).toBe(200);
        expect((JSON.parse(body) as { headers: object }).headers).toMatchObject({
          "x-forwarded-for": CLIENT,
        });
        await eventually(() =>
          readFileSync(log, "utf8")
            .split("\n")
            .some((line) => line.includes(encodeURIComponent(send)) && line.includes(`${CLIENT}:`)),
        );
      },
    );

    test("HAProxy's own checks, which are of nobody else, are answered", async () => {
      const port = await freePort();
      const { host, port: inbound } = web.ready.addresses.inbound;
      await haproxy(
        port,
        `
listen checked
  mode http
  bind 127.0.0.1:${port}
  option httpchk GET /checked
  server web ${host}:${inbound} send-proxy-v2 check check-send-proxy inter 100ms fall 1`,
      );
      const logged = (): string[] =>
        readFileSync(log, "utf8")
          .split("\n")
          .filter((line) => line.includes("/checked"));
      await eventually(() => logged().length > 1);
      for (const line of logged()) {
        expect(line).toContain('HTTP/1.0" 200');
        expect(line).toContain("127.0.0.1:");
      }
      expect((await call(`http://127.0.0.1:${port}/`, { localAddress: CLIENT })).status).toBe(200);
    });

    test("a trusted address without a header is refused in plaintext", async () => {
      await expect(call(urlOf(web.ready.addresses.inbound), { localAddress: "127.0.0.1" })).rejects.toThrow();
    });

    test("a header from elsewhere is refused, and a request without one served", async () => {
      const inbound = urlOf(web.ready.addresses.inbound);
      expect((await call(inbound, { localAddress: OTHER_CLIENT })).status).toBe(200);
      const port = await freePort();
      await haproxy(
        port,
        `
listen stranger
  mode tcp
  bind 127.0.0.1:${port}
  source ${OTHER_CLIENT}
  server web ${inbound.slice("http://".length)} send-proxy-v2`,
      );
      await expect(call(`http://127.0.0.1:${port}/`)).rejects.toThrow();
      expect(await web.metrics()).toMatch(/tulle_inbound_refused_total\{reason="proxy_protocol"\} [1-9]/);
    });

    test("sidecars at a trusted address call as ever", async () => {
      const client = await mesh.sidecar({ service: "client", args: ["--upstream", "web:8080"] });
      const { status, body } = await call(client.upstream("web:8080"));
      expect(status).toBe(200);
      expect(body).toContain("/sa/client");
    });
  });

  describe("to servers", () => {
    let client: Workload;
    const ports: Record<string, number> = {};

    beforeAll(async () => {
      for (const name of ["v1", "v2", "tcp"]) ports[name] = await freePort();
      await mesh.apply(
        Object.entries(ports)
          .map(([name, port]) =>
            outside(name, port, name === "tcp" ? "TCP" : "HTTP", name === "v1" ? "V1" : "V2"),
          )
          .join("---"),
      );
      // An answer names the client, and the server that it meant.
      const server = (port: number | undefined): string => `
  server {
    listen 127.0.0.1:${port} proxy_protocol;
    return 200 "$proxy_protocol_addr:$proxy_protocol_port > $proxy_protocol_server_addr:$proxy_protocol_server_port";
  }`;
      const nginx = `
daemon off;
pid ${join(mesh.directory, "nginx.pid")};
events {}
http {
  access_log off;
  keepalive_timeout 60s;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${join(mesh.directory, name)};`)
    .join("\n  ")}
${server(ports["v1"])}
${server(ports["v2"])}
}
`;
      peers.push(await PeerProcess.start("nginx", nginx, mesh.directory, ports["v1"] ?? 0));
      await haproxy(
        ports["tcp"] ?? 0,
        `
frontend tcp
  mode http
  bind 127.0.0.1:${ports["tcp"]} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] > %[dst]:%[dst_port]"`,
      );
      const upstreams = Object.keys(ports).flatMap((name) => ["--upstream", `${name}.example:80`]);
      client = await mesh.sidecar({ service: "caller", args: upstreams });
    }, 60_000);

    test.each([
      ["nginx, version 1", "v1"],
      ["nginx, version 2", "v2"],
      ["HAProxy's accept-proxy, as bytes", "tcp"],
    ])("%s learns the client's address", async (_server, name) => {
      const url = client.upstream(`${name}.example:80`);
      const { host } = new URL(url);
      for (const localAddress of [CLIENT, OTHER_CLIENT, CLIENT]) {
        const { status, body } = await call(url, { localAddress });
        expect(status).toBe(200);
        expect(body).toMatch(new RegExp(`^${localAddress}:\\d+ > ${host}$`));
      }
    });

    test("an application learns from its own sidecar who the client is", async () => {
      const port = await freePort();
      await haproxy(
        port,
        `
frontend app
  mode http
  bind 127.0.0.1:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[req.hdr(x-forwarded-client-cert)]"`,
      );
      const args = ["--port", String(port), "--app-proxy-protocol", "2"];
      const app = await mesh.sidecar({ service: "app", args });
      await eventually(
        async () => (await call(urlOf(app.ready.addresses.inbound), { localAddress: CLIENT })).status === 200,
      );
      for (const localAddress of [CLIENT, OTHER_CLIENT]) {
        const { body } = await call(urlOf(app.ready.addresses.inbound), { localAddress });
        expect(body.trim()).toBe(localAddress);
      }
      const caller = await mesh.sidecar({ service: "friend", args: ["--upstream", `app:${port}`] });
      const { body } = await eventually(async () => {
        const answer = await call(caller.upstream(`app:${port}`));
        return answer.status === 200 ? answer : undefined;
      });
      expect(body).toMatch(/^127\.0\.0\.1 .*\/sa\/friend$/);
    });

    test("clients that call at once never get each other's connection", async () => {
      const url = client.upstream("v2.example:80");
      const addresses = Array.from({ length: 40 }, (_, index) => `127.0.1.${index + 1}`);
      const answers = await Promise.all(addresses.map((localAddress) => call(url, { localAddress })));
      expect(answers.map(({ body }) => body.split(":")[0])).toEqual(addresses);
    });
  });
});

/** A server outside, whose connections begin with a header. */
function outside(name: string, port: number, protocol: string, version: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.example]
  resolution: STATIC
  ports: [{number: 80, targetPort: ${port}, name: p, protocol: ${protocol}}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}}
spec: {host: ${name}.example, trafficPolicy: {proxyProtocol: {version: ${version}}}}
`;
}
