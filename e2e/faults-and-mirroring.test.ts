import { promises } from "node:dns";
import { connect, type ClientHttp2Session } from "node:http2";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import * as grpc from "@grpc/grpc-js";
import { findKind } from "@tulle/api";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { call, callJson, type Answer, type CallOptions } from "./support/http.js";
import { CHAT, Mesh, RECORDER } from "./support/mesh.js";
import { Servers } from "./support/servers.js";
import { urlOf, type Workload } from "./support/workload.js";

// What a VirtualService does to requests besides choosing their destination: faults, copies, CORS; over HTTP/1.1, HTTP/2
// and gRPC.

const RULES = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  http:
  - name: delayed
    match: [{uri: {prefix: /delayed}}]
    fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}
    route: [{destination: {host: shop}}]
  - name: aborted
    match: [{uri: {prefix: /aborted}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: shop}}]
  - name: half
    match: [{uri: {prefix: /half}}]
    fault: {abort: {httpStatus: 503, percentage: {value: 50}}}
    route: [{destination: {host: shop}}]
  - name: aborted-for-mobile
    match: [{uri: {prefix: /tested}, headers: {x-test: {exact: fault}}}]
    fault: {abort: {httpStatus: 500, percentage: {value: 100}}}
    route: [{destination: {host: shop}}]
  - name: mirrored
    match: [{uri: {prefix: /mirrored}}]
    rewrite: {uri: /copied}
    mirrors: [{destination: {host: audit}}, {destination: {host: nowhere}}]
    route: [{destination: {host: shop}}]
  - name: never-mirrored
    match: [{uri: {prefix: /unmirrored}}]
    mirror: {host: audit}
    mirrorPercentage: {value: 0}
    route: [{destination: {host: shop}}]
  - name: pages
    match: [{uri: {prefix: /pages}}]
    corsPolicy:
      allowOrigins: [{exact: "https://shop.example"}, {regex: "https://.*\\\\.shop\\\\.example"}]
      allowMethods: [GET, PUT]
      allowHeaders: [x-token]
      exposeHeaders: [x-recorder]
      maxAge: 10m
      allowCredentials: true
      unmatchedPreflights: IGNORE
    route: [{destination: {host: shop}}]
  - name: told
    match: [{uri: {prefix: /told}}]
    headers:
      request:
        set:
          x-peer: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
          x-was: "%REQ(:path)% over %PROTOCOL%, 100%% sure"
          x-none: "%REQ(x-absent)%"
      response: {add: {x-served-by: "%UPSTREAM_HOST%", x-told: "%RESPONSE_CODE% %RESP(x-recorder)%"}}
    rewrite: {uri: /new, authority: other.example}
    route: [{destination: {host: shop}}]
  - name: bytes
    match: [{uri: {prefix: /bytes}}]
    directResponse: {status: 200, body: {bytes: "AP+A/w=="}}
  - name: page
    match: [{uri: {prefix: /page}}]
    directResponse: {status: 200, body: {string: "${"é".repeat(100_000)}"}}
  - route: [{destination: {host: shop}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: slow
  annotations: {tulle.dev/fault-bandwidth: "64"}
spec:
  hosts: [slow]
  http: [{route: [{destination: {host: shop}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: cut
  annotations: {tulle.dev/fault-reset: "100", tulle.dev/fault-reset-after-bytes: "1000"}
spec:
  hosts: [cut]
  http: [{route: [{destination: {host: shop}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: refused
  annotations: {tulle.dev/fault-reset: "100"}
spec:
  hosts: [refused]
  http: [{route: [{destination: {host: shop}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: chat}
spec:
  hosts: [chat]
  http:
  - match: [{uri: {exact: /test.Chat/Fail}}]
    fault: {abort: {grpcStatus: DATA_LOSS, percentage: {value: 100}}}
    route: [{destination: {host: chat}}]
  - match: [{uri: {exact: /test.Chat/Cancelled}}]
    fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
    route: [{destination: {host: chat}}]
  - match: [{uri: {exact: /test.Chat/Echo}}]
    fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}
    route: [{destination: {host: chat}}]
`;

let mesh: Mesh;
let app: Workload;
let audit: Workload;
let caller: Workload;
let shopUrl: string;
let accessLog: string;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(RULES);
  accessLog = join(mesh.directory, "access.log");
  const started = await Promise.all([
    mesh.run({ service: "shop", command: RECORDER }),
    mesh.run({ service: "audit", command: RECORDER }),
    mesh.run({ service: "chat", args: ["--protocol", "grpc"], command: CHAT, healthPath: "" }),
    mesh.sidecar({
      service: "caller",
      args: ["--access-log", accessLog, "--upstream", "shop:8080", "--upstream", "chat:8080"],
    }),
  ]);
  [app, audit] = started;
  caller = started[3];
  shopUrl = caller.upstream("shop:8080");
}, 60_000);

afterAll(() => mesh?.end());

function shop(path: string, options: CallOptions = {}): Promise<Answer> {
  return call(`${shopUrl}${path}`, options);
}

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
}

function seenBy(workload: Workload): Promise<Seen[]> {
  return callJson(`http://127.0.0.1:${workload.ready.appPort}/seen`) as Promise<Seen[]>;
}

async function logged(part: string): Promise<string> {
  return eventually(() => {
    const line = readFileSync(accessLog, "utf8")
      .split("\n")
      .find((each) => each.includes(part));
    if (line === undefined) throw new Error(`no line with ${part}`);
    return line;
  });
}

async function timed<Result>(
  run: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly ms: number }> {
  const start = performance.now();
  const result = await run();
  return { result, ms: performance.now() - start };
}

/** One request over HTTP/2 in plaintext. */
async function shopOverHttp2(path: string): Promise<{ status: number; body: string }> {
  const session: ClientHttp2Session = connect(shopUrl);
  session.on("error", () => {});
  try {
    return await new Promise((resolve, reject) => {
      const stream = session.request({ ":path": path });
      let status = 0;
      let body = "";
      stream.on("response", (headers) => (status = Number(headers[":status"])));
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => (body += text));
      stream.once("end", () => resolve({ status, body }));
      stream.once("error", reject);
    });
  } finally {
    session.destroy();
  }
}

describe("faults", () => {
  test("a delay holds the request back, with its body, and the log has DI", async () => {
    const body = "x".repeat(100_000);
    const { result, ms } = await timed(() => shop("/delayed/1", { method: "POST", body }));
    expect(result.status).toBe(200);
    expect(result.body).toBe(body);
    expect(ms).toBeGreaterThanOrEqual(300);
    expect(await logged("/delayed/1")).toContain(" 200 DI via_upstream");
  });

  test("a delay holds back HTTP/2's too", async () => {
    const { result, ms } = await timed(() => shopOverHttp2("/delayed/2"));
    expect(result.status).toBe(200);
    expect(ms).toBeGreaterThanOrEqual(300);
  });

  test("an abort answers in place of the service, and the log has FI", async () => {
    expect(await shop("/aborted/1")).toMatchObject({ status: 418, body: "fault filter abort" });
    expect(await logged("/aborted/1")).toContain(" 418 FI fault_filter_abort");
    expect(await shopOverHttp2("/aborted/2")).toEqual({ status: 418, body: "fault filter abort" });
  });

  test("a share of the requests is aborted, and the same request again and again", async () => {
    const statuses = new Map<string, number>();
    for (let i = 0; i < 40; i++) {
      const id = `00000000-0000-4000-8000-0000000${String(10_000 + i)}`;
      statuses.set(id, (await shop("/half", { headers: { "x-request-id": id } })).status);
    }
    const aborted = [...statuses.values()].filter((status) => status === 503).length;
    expect(aborted).toBeGreaterThan(5);
    expect(aborted).toBeLessThan(35);
    for (const [id, status] of statuses)
      expect((await shop("/half", { headers: { "x-request-id": id } })).status).toBe(status);
  });

  test("a rule's conditions choose who meets its fault", async () => {
    expect((await shop("/tested")).status).toBe(200);
    expect((await shop("/tested", { headers: { "x-test": "fault" } })).status).toBe(500);
  });

  test("a gRPC call is aborted with a gRPC status, and delayed", async () => {
    const client = new grpc.Client(
      caller.upstream("chat:8080").replace("http://", ""),
      grpc.credentials.createInsecure(),
    );
    const unary = (method: string): Promise<string> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          `/test.Chat/${method}`,
          (text: string) => Buffer.from(text),
          (bytes: Buffer) => bytes.toString(),
          "hello",
          (error, answer) => (error === null ? resolve(answer ?? "") : reject(error)),
        );
      });
    try {
      const failed = { code: grpc.status.DATA_LOSS, details: "fault filter abort" };
      await expect(unary("Fail")).rejects.toMatchObject(failed);
      await expect(unary("Cancelled")).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
      const { result, ms } = await timed(() => unary("Echo"));
      expect(result).toBe("hello");
      expect(ms).toBeGreaterThanOrEqual(300);
    } finally {
      client.close();
    }
  });
});

describe("faults by annotation", () => {
  const byHost = (host: string, path: string): Promise<Answer> =>
    call(`${urlOf(caller.ready.addresses.outbound)}${path}`, { headers: { host } });

  test("a response comes slowly, and whole", async () => {
    const { result, ms } = await timed(() => byHost("slow", "/?bytes=40000"));
    expect(result.status).toBe(200);
    expect(result.body).toHaveLength(40_000);
    // 40,000 bytes at 65,536 a second, less the first piece.
    expect(ms).toBeGreaterThan(400);
  });

  test("a connection is reset at once, and in the middle of a body", async () => {
    await expect(byHost("refused", "/never")).rejects.toThrow(/ECONNRESET|socket hang up/);
    expect(await logged("/never")).toContain(" 0 FI fault_filter_reset");
    await expect(byHost("cut", "/?bytes=5000")).rejects.toThrow(/ECONNRESET|aborted/);
    expect((await byHost("cut", "/?bytes=500")).body).toHaveLength(500);
  });
});

describe("mirroring", () => {
  test("copies go out with their body as the request does, and nobody waits for them", async () => {
    const body = "y".repeat(50_000);
    const headers = { "x-mirror": "one" };
    const answer = await shop("/mirrored/a?q=1", { method: "POST", body, headers });
    expect(answer).toMatchObject({ status: 200, body });
    const copy = await eventually(async () => {
      const found = (await seenBy(audit)).find(({ headers: sent }) => sent["x-mirror"] === "one");
      if (found === undefined) throw new Error("no copy has come");
      return found;
    });
    expect(copy).toMatchObject({ method: "POST", url: "/copied/a?q=1", bytes: body.length });
    expect(copy.headers["x-forwarded-client-cert"]).toContain("sa/caller");
    const metrics = await caller.metrics();
    expect(metrics).toMatch(
      /envoy_cluster_upstream_rq_total\{cluster_name="outbound\|8080\|\|audit[^}]*\} 1/,
    );
    expect(metrics).toMatch(/tulle_mirrored_requests_dropped_total 1/);
  });

  test("a share of none copies nothing", async () => {
    expect((await shop("/unmirrored", { headers: { "x-mirror": "none" } })).status).toBe(200);
    expect((await shop("/mirrored", { headers: { "x-mirror": "after" } })).status).toBe(200);
    await eventually(async () =>
      (await seenBy(audit)).some(({ headers }) => headers["x-mirror"] === "after"),
    );
    expect((await seenBy(audit)).some(({ headers }) => headers["x-mirror"] === "none")).toBe(false);
  });
});

describe("CORS", () => {
  const preflight = (origin: string): Promise<Answer> =>
    shop("/pages/1", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "PUT" },
    });

  test("the sidecar answers preflights of origins that are allowed", async () => {
    const { status, headers } = await preflight("https://www.shop.example");
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "access-control-allow-origin": "https://www.shop.example",
      "access-control-allow-methods": "GET,PUT",
      "access-control-allow-headers": "x-token",
      "access-control-max-age": "600",
      "access-control-allow-credentials": "true",
    });
    expect(headers["x-recorder"]).toBeUndefined();
  });

  test("an origin that is not allowed is told nothing", async () => {
    const { status, headers } = await preflight("https://evil.example");
    expect(status).toBe(200);
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    expect(headers["x-recorder"]).toBeUndefined();
    const get = await shop("/pages/2", { headers: { origin: "https://evil.example" } });
    expect(get.headers["access-control-allow-origin"]).toBeUndefined();
    expect(get.headers["x-recorder"]).toBe("yes");
  });

  test("responses say which pages may read them", async () => {
    const { status, headers } = await shop("/pages/2", { headers: { origin: "https://shop.example" } });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "access-control-allow-origin": "https://shop.example",
      "access-control-expose-headers": "x-recorder",
      vary: "Origin",
      "x-recorder": "yes",
    });
  });
});

test("headers tell of the request and the response, and a rewrite of what was asked", async () => {
  const { headers } = await shop("/told/a?q=1", { headers: { "x-envoy-original-path": "/forged" } });
  expect(headers["x-served-by"]).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(headers["x-told"]).toBe("200 yes");
  const seen = (await seenBy(app)).find(({ url }) => url === "/new/a?q=1");
  expect(seen?.headers).toMatchObject({
    host: "other.example",
    "x-peer": "127.0.0.1",
    "x-was": "/told/a?q=1 over HTTP/1.1, 100% sure",
    "x-envoy-original-path": "/told/a?q=1",
  });
  expect(seen?.headers["x-none"]).toBeUndefined();
});

test("bytes of a direct response arrive as they are", async () => {
  const answer = await fetch(`${shopUrl}/bytes`);
  expect([...new Uint8Array(await answer.arrayBuffer())]).toEqual([0x00, 0xff, 0x80, 0xff]);
});

test("a direct response may be a whole page", async () => {
  const answer = await fetch(`${shopUrl}/page`);
  expect([answer.status, await answer.text()]).toEqual([200, "é".repeat(100_000)]);
  expect((await shopOverHttp2("/page")).body).toBe("é".repeat(100_000));
});

test("the outbound port knows the rules too", async () => {
  const url = `${urlOf(caller.ready.addresses.outbound)}/aborted`;
  expect((await call(url, { headers: { host: "shop:8080" } })).status).toBe(418);
});

test("lookups of a service's name fail as its VirtualService says, and no others", async () => {
  const servers = new Servers();
  const port = await servers.closedPort();
  const sidecar = await mesh.sidecar({ service: "resolving", args: ["--dns-port", String(port)] });
  const resolver = new promises.Resolver({ timeout: 5000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  const ask = (name: string): Promise<string> =>
    resolver.resolve4(name).then(
      ([address = ""]) => address,
      (error: NodeJS.ErrnoException) => error.code ?? "",
    );
  const fault = (annotations: string): Promise<void> =>
    mesh.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: audit, annotations: {${annotations}}}
spec: {hosts: [audit], http: [{route: [{destination: {host: audit}}]}]}
`);
  await eventually(async () => (await ask("audit")).startsWith("240.240."));
  await fault("tulle.dev/fault-dns: nxdomain");
  await eventually(async () => (await ask("audit")) === "ENOTFOUND");
  expect(await ask("shop")).toMatch(/^240\.240\./);
  await fault("tulle.dev/fault-dns: servfail");
  await eventually(async () => (await ask("audit.default")) === "ESERVFAIL");
  await fault("tulle.dev/fault-dns-delay: 400ms");
  await eventually(async () => {
    const began = Date.now();
    return (await ask("audit")).startsWith("240.240.") && Date.now() - began >= 400;
  });
  expect(await sidecar.metrics()).toContain('tulle_dns_faults_total{fault="nxdomain"}');
  await mesh.client.resources.delete(findKind("networking.istio.io", "VirtualService")!, { name: "audit" });
  await sidecar.process.stop();
}, 30_000);
