import { readFileSync } from "node:fs";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { freePort } from "../packages/cli/src/launcher/free-port.js";
import { askWeb, call, type Answer, type CallOptions, type WebAnswer } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, urlOf, type Workload } from "./support/workload.js";

// One outbound port for every service: by the Host header, or as an HTTP proxy. And what is told about it afterwards.

const CANARY = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match: [{headers: {version: {exact: v2}}}]
    route: [{destination: {host: web, subset: v2}}]
  - route: [{destination: {host: web, subset: v1}}]
`;
const FULL_HOST = "web.default.svc.cluster.local";

let mesh: Mesh;
let v1: Workload;
let caller: Workload;
let accessLog: string;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(CANARY);
  accessLog = join(mesh.directory, "access.log");
  const started = await Promise.all([
    mesh.run({ service: "web", name: "web-v1", args: ["--version", "v1"] }),
    mesh.run({ service: "web", name: "web-v2", args: ["--version", "v2"] }),
    mesh.sidecar({ service: "caller", args: ["--access-log", accessLog] }),
  ]);
  v1 = started[0];
  caller = started[2];
}, 60_000);

afterAll(() => mesh.end());

function outbound(options: CallOptions): Promise<Answer> {
  return call(urlOf(caller.ready.addresses.outbound), options);
}

function byHost(host: string, headers: Record<string, string> = {}): Promise<Answer> {
  return outbound({ target: "/by-host?q=1", headers: { host, ...headers } });
}

function parse(answer: Answer): WebAnswer {
  expect(answer.status, answer.body).toBe(200);
  return JSON.parse(answer.body) as WebAnswer;
}

test.each(["web:8080", "web.default:8080", "web.default.svc:8080", `${FULL_HOST}:8080`, "WEB:8080"])(
  "the outbound listener finds the service of the Host header %s, at the first request",
  async (host) => {
    const answer = parse(await byHost(host));
    expect(answer.instance).toBe("web-v1");
    expect(answer.url).toBe("/by-host?q=1");
    expect(answer.headers["x-forwarded-client-cert"]).toContain(
      "URI=spiffe://cluster.local/ns/default/sa/caller",
    );
  },
);

test("the outbound listener serves the absolute form, as an HTTP proxy does", async () => {
  // The target counts, not the Host header (RFC 9112 section 3.2.2).
  const answer = parse(
    await outbound({ target: "http://web:8080/proxied?q=2", headers: { host: "elsewhere" } }),
  );
  expect(answer.instance).toBe("web-v1");
  expect(answer.url).toBe("/proxied?q=2");
  expect(answer.headers["host"]).toBe("web:8080");
});

test("the outbound listener sends a canary's visitors by header", async () => {
  for (let i = 0; i < 10; i++) {
    expect(parse(await byHost("web:8080", { version: "v2" })).instance).toBe("web-v2");
    expect(parse(await byHost("web:8080", { version: "v1" })).instance).toBe("web-v1");
    expect(parse(await byHost("web:8080")).instance).toBe("web-v1");
  }
});

test.each(["nobody:8080", "web.elsewhere:8080"])(
  "an unknown service %s is a 404 that says what to do",
  async (host) => {
    const { status, body, headers } = await byHost(host);
    expect(status).toBe(404);
    expect(headers["content-type"]).toContain("text/plain");
    expect(body).toContain(host);
    expect(body).toMatch(/regist|tulle /);
  },
);

test("an unknown service is served as soon as it is registered", async () => {
  expect((await byHost("late:8080")).status).toBe(404);
  await mesh.run({ service: "late" });
  await eventually(async () => (await byHost("late:8080")).status === 200);
});

test("a service without a healthy instance is a 503 that says so", async () => {
  await mesh.client.registry.register({
    ID: "sick",
    Name: "sick",
    Address: "127.0.0.1",
    Port: await freePort(),
    Check: { CheckID: "sick", TTL: "10m", Status: "critical" },
    Meta: { "tulle-service-port": "8080" },
  });
  const { status, body } = await eventually(async () => {
    const answer = await byHost("sick:8080");
    return answer.status === 404 ? undefined : answer;
  });
  expect(status).toBe(503);
  expect(body).toContain("sick");
});

test("the outbound listener refuses a request that names no service", async () => {
  expect((await outbound({ setHost: false })).status).toBe(400);
  const unnamed = await outbound({ setHost: false, headers: { host: "" } });
  expect(unnamed.status).toBeGreaterThanOrEqual(400);
  expect(unnamed.status).toBeLessThan(500);
});

test("the outbound listener does not call itself", async () => {
  const { host, port } = caller.ready.addresses.outbound;
  const { status, body } = await byHost(`${host}:${port}`);
  expect(status).toBe(508);
  expect(body.trim()).not.toBe("");
});

test("metrics count a request once on each side, with who called whom", async () => {
  const counts = async (workload: Workload, reporter: string): Promise<number> => {
    const lines = (await workload.metrics()).split("\n");
    const wanted = [`reporter="${reporter}"`, 'destination_version="v1"', 'response_code="200"'];
    const found = lines.filter(
      (line) => line.startsWith("istio_requests_total{") && wanted.every((label) => line.includes(label)),
    );
    for (const line of found) {
      expect(line).toContain('source_principal="spiffe://cluster.local/ns/default/sa/caller"');
      expect(line).toContain('destination_principal="spiffe://cluster.local/ns/default/sa/web"');
      expect(line).toContain('source_workload="caller"');
      expect(line).toContain('destination_workload="web-v1"');
      expect(line).toContain(`destination_service="${FULL_HOST}"`);
      expect(line).toContain('destination_service_name="web"');
      expect(line).toContain('request_protocol="http"');
      // Only the side that takes the connection knows (Istio's own words for both).
      const policy = reporter === "source" ? "unknown" : "mutual_tls";
      expect(line).toContain(`connection_security_policy="${policy}"`);
    }
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  };
  await byHost("web:8080");
  const [source, destination] = [await counts(caller, "source"), await counts(v1, "destination")];
  for (let i = 0; i < 7; i++) await byHost("web:8080");
  await eventually(async () => (await counts(caller, "source")) === source + 7);
  await eventually(async () => (await counts(v1, "destination")) === destination + 7);
});

test("the access log has a line in Istio's format for each request", async () => {
  const id = "e2e-access-log-1";
  await byHost("web:8080", { "x-request-id": id, "user-agent": "e2e/1" });
  const line = await eventually(() =>
    readFileSync(accessLog, "utf8")
      .split("\n")
      .find((each) => each.includes(id)),
  );
  const address = String.raw`127\.0\.0\.1:\d+`;
  const cluster = clusterOf("web", "v1").replaceAll(/[.|]/g, String.raw`\$&`);
  expect(line).toMatch(
    new RegExp(
      String.raw`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "GET /by-host\?q=1 HTTP/1\.1" 200 - via_upstream - "-" ` +
        String.raw`0 \d+ \d+ \d+ "-" "e2e/1" "${id}" "web:8080" "${address}" ${cluster} ${address} ${address} ${address} - \S+$`,
    ),
  );
});

test("concurrent requests to many services through one port are not mixed up", async () => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const version = i % 2 === 0 ? "v1" : "v2";
      const target = `/mixed/${i}`;
      const answer = await outbound({ target, headers: { host: "web:8080", version } });
      return { expected: `web-${version} ${target}`, answer };
    }),
  );
  for (const { expected, answer } of answers) {
    const { instance, url } = parse(answer);
    expect(`${instance} ${url}`).toBe(expected);
  }
});

test("an upstream's listener sends everything to its service, whatever the Host header says", async () => {
  const direct = await mesh.sidecar({
    service: "caller",
    name: "caller-2",
    args: ["--upstream", "web:8080"],
  });
  const answer = await askWeb(direct.upstream("web:8080"), {
    headers: { host: "www.example.com" },
  });
  expect(answer.instance).toBe("web-v1");
}, 30_000);
