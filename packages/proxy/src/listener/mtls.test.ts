import { connect, createServer, type AddressInfo } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

import { systemClock } from "@tulle/base";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import { call, closeAll, closedPort, createProxy, exchangeBytes, TestIdentity } from "../../test/harness.js";
import { CLUSTER, FRONTEND, REVIEWS, SNI, startPair, type Pair, type PairOptions } from "../../test/pair.js";
import {
  apiListener,
  cluster,
  endpoints,
  inboundListener,
  routes,
  routeTo,
  staticCluster,
} from "../../test/resources.js";

import { drainConnections } from "../lifecycle/drain.js";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

const pair = (options: PairOptions = {}): Promise<Pair> => startPair(authority, options);

test("two sidecars speak mutual TLS, and the application learns who called", async () => {
  const { port } = await pair();
  const answer = await call(port, "/", { headers: { "x-forwarded-client-cert": "forged" } });
  expect(answer.status).toBe(200);
  const headers = JSON.parse(answer.body) as Record<string, string>;
  expect(headers["x-forwarded-client-cert"]).toMatch(
    new RegExp(`^By=${REVIEWS};Hash=[0-9a-f]{64};Subject="";URI=${FRONTEND}$`),
  );
  expect(headers["host"]).toBe("reviews:9080");
  expect(headers["x-envoy-attempt-count"]).toBe("1");
  expect(headers["x-envoy-peer-metadata"]).toBeUndefined();
});

test("both sides count a request under Istio's names with both identities", async () => {
  const { port, client, server } = await pair();
  await call(port, "/", { method: "POST", body: "12345" });
  const line = (text: string): string =>
    text.split("\n").find((each) => each.startsWith("istio_requests_total")) ?? "";
  const source = line(client.metricsText());
  const destination = line(server.metricsText());
  for (const each of [source, destination]) {
    expect(each.endsWith(" 1")).toBe(true);
    for (const label of [
      'source_workload="frontend-v1"',
      'source_workload_namespace="default"',
      `source_principal="${FRONTEND}"`,
      'destination_workload="reviews-v1"',
      'destination_canonical_service="reviews"',
      'destination_version="v1"',
      `destination_principal="${REVIEWS}"`,
      'destination_service="reviews.default.svc.cluster.local"',
      'destination_service_name="reviews"',
      'destination_service_namespace="default"',
      'response_code="200"',
      'response_flags="-"',
    ]) {
      expect(each).toContain(label);
    }
  }
  expect(source).toContain('reporter="source"');
  expect(destination).toContain('reporter="destination"');
  expect(destination).toContain('connection_security_policy="mutual_tls"');
  expect(client.metricsText()).toMatch(/istio_request_bytes_sum\{reporter="source"[^}]*\} 5\n/);
  expect(server.metricsText()).toMatch(
    /istio_request_duration_milliseconds_count\{reporter="destination"[^}]*\} 1\n/,
  );
});

test("a server with another identity than expected is not spoken to", async () => {
  const { port, client } = await pair({ serverAccount: "impostor" });
  const answer = await call(port);
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("sa/impostor is not who was expected");
  expect(client.log()[0]).toContain("UF");
});

test("a server of a foreign authority is not spoken to", async () => {
  const { port } = await pair({ serverAuthority: await createTestAuthority() });
  expect((await call(port)).status).toBe(503);
});

test("a client of a foreign authority is refused", async () => {
  const { port, server } = await pair({ clientAuthority: await createTestAuthority() });
  expect((await call(port)).status).toBe(503);
  expect(server.log()).toEqual([]);
});

async function handshake(
  port: number,
  options: Record<string, unknown>,
  onSocket: (socket: TLSSocket) => void = () => undefined,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      servername: SNI,
      ...options,
    });
    onSocket(socket);
    socket.on("secureConnect", () => socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    let received = "";
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(received));
  });
}

test("the inbound listener refuses no certificate, an expired one, an unknown SNI and another ALPN", async () => {
  const { inboundPort, server } = await pair();
  const good = await authority.issue({ serviceAccount: "frontend" });
  const expired = await authority.issueExpired({ serviceAccount: "frontend" });
  const nobody = await authority.issue({ uris: [], dnsNames: ["frontend"] });
  const two = await authority.issue({ uris: [FRONTEND, REVIEWS] });
  const use = (certificate: typeof good): Record<string, unknown> => ({
    cert: certificate.certificateChainPem,
    key: certificate.privateKeyPem,
  });
  expect(await handshake(inboundPort, use(good))).toContain("200 OK");
  expect(await handshake(inboundPort, {})).toBe("");
  expect(await handshake(inboundPort, use(expired))).toBe("");
  expect(await handshake(inboundPort, use(nobody))).toBe("");
  expect(await handshake(inboundPort, use(two))).toBe("");
  expect(await handshake(inboundPort, { ...use(good), servername: "other.example" })).toBe("");
  expect(await handshake(inboundPort, { ...use(good), ALPNProtocols: ["spdy/3"] })).toBe("");
  expect(await handshake(inboundPort, { ...use(good), maxVersion: "TLSv1.2" })).toBe("");
  expect(server.log()).toHaveLength(1);
});

test("a session of the inbound listener cannot be resumed, so that every connection shows its certificate", async () => {
  const { inboundPort } = await pair();
  const good = await authority.issue({ serviceAccount: "frontend" });
  const options = { cert: good.certificateChainPem, key: good.privateKeyPem };
  let session: Buffer | undefined;
  const onSession = (given: Buffer): void => {
    session = given;
  };
  expect(await handshake(inboundPort, options, (socket) => socket.on("session", onSession))).toContain(
    "200 OK",
  );
  let reused = false;
  const again = await handshake(inboundPort, { ...options, session }, (socket) => {
    socket.on("secureConnect", () => {
      reused = socket.isSessionReused();
    });
  });
  expect(again).toContain("200 OK");
  expect(reused).toBe(false);
  expect(await handshake(inboundPort, { session })).toBe("");
});

test("strict mode refuses plaintext, permissive mode takes it without believing what it claims", async () => {
  const strict = await pair();
  await expect(call(strict.inboundPort)).rejects.toThrow(/socket hang up|ECONNRESET/);
  const permissive = await pair({ permissive: true });
  const answer = await call(permissive.inboundPort, "/", {
    headers: { "x-forwarded-client-cert": "By=forged", "x-envoy-peer-metadata": "forged" },
  });
  const headers = JSON.parse(answer.body) as Record<string, string>;
  expect(headers["x-forwarded-client-cert"]).toBeUndefined();
  expect(headers["x-envoy-peer-metadata"]).toBeUndefined();
  expect(permissive.server.metricsText()).toContain('connection_security_policy="none"');
  expect((await call(permissive.port)).status).toBe(200);
});

test("a change from permissive to strict closes plaintext to new and old connections", async () => {
  const { server, inboundPort } = await pair({ permissive: true });
  expect((await call(inboundPort)).status).toBe(200);
  server.apply(inboundListener({ sni: SNI, cluster: "inbound|9080||reviews.default.svc.cluster.local" }));
  await expect(call(inboundPort)).rejects.toThrow(/socket hang up|ECONNRESET/);
});

test("certificates rotate under load without a failed request", async () => {
  const { port, clientIdentity, serverIdentity } = await pair({
    app: (request, response) => request.pipe(response),
  });
  const stop = { now: false };
  let served = 0;
  const load = Array.from({ length: 8 }, async () => {
    while (!stop.now) {
      const answer = await call(port, "/", { method: "POST", body: "x".repeat(1000) });
      expect(answer.status).toBe(200);
      served++;
    }
  });
  for (let i = 0; i < 6; i++) {
    const before = served;
    await eventually(() => served > before + 20);
    serverIdentity.rotate(await authority.issue({ serviceAccount: "reviews" }));
    clientIdentity.rotate(await authority.issue({ serviceAccount: "frontend" }));
  }
  stop.now = true;
  await Promise.all(load);
  expect(served).toBeGreaterThan(100);
});

test("a new certificate is used for new connections", async () => {
  const { port, inboundPort, serverIdentity, clientIdentity } = await pair();
  await call(port);
  const renewed = await authority.issue({ serviceAccount: "reviews" });
  serverIdentity.rotate(renewed);
  clientIdentity.rotate(await authority.issue({ serviceAccount: "frontend" }));
  const serial = await new Promise<string>((resolve, reject) => {
    const { certificateChainPem: cert, privateKeyPem: key } = clientIdentity.current();
    const socket = connectTls(
      { host: "127.0.0.1", port: inboundPort, rejectUnauthorized: false, servername: SNI, cert, key },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
  expect(serial.replace(/^0+/, "")).toBe(renewed.serialNumber.replace(/^0+/, ""));
  expect((await call(port)).status).toBe(200);
});

test("a sidecar without a certificate says so instead of sending plaintext", async () => {
  const { inboundPort } = await pair();
  const client = createProxy({ identity: new TestIdentity() });
  client.apply(
    cluster(CLUSTER, { tls: { sni: SNI, spiffeId: REVIEWS } }),
    endpoints(CLUSTER, [{ port: inboundPort, mtls: true }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(CLUSTER)]),
  );
  const answer = await call(await client.listen("reviews:9080"));
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("no certificate yet");
});

test("an instance whose application is gone fails no request, POST included, while another one serves", async () => {
  const { client, server, inboundPort, port } = await pair({
    app: (request, response) => request.pipe(response),
  });
  const orphan = createProxy({
    identity: new TestIdentity(await authority.issue({ serviceAccount: "reviews" })),
  });
  const local = "inbound|9080||reviews.default.svc.cluster.local";
  orphan.apply(staticCluster(local, await closedPort()), inboundListener({ sni: SNI, cluster: local }));
  const orphanPort = (await orphan.inbound()).tcp.address.port;
  client.apply(
    endpoints(CLUSTER, [
      { port: orphanPort, mtls: true },
      { port: inboundPort, mtls: true },
    ]),
  );
  for (let i = 0; i < 20; i++) {
    const answer = await call(port, "/", { method: "POST", body: `x${i}` });
    expect(answer.body).toBe(`x${i}`);
  }
  expect(orphan.log().length).toBeGreaterThan(0);
  expect(server.log()).toHaveLength(20);
});

test("a POST that an application may have seen is not repeated, a GET is", async () => {
  const seen: string[] = [];
  const { port, client } = await pair({
    app: (request, response) => {
      seen.push(request.method ?? "");
      if (seen.length <= 2) request.socket.destroy();
      else response.end("ok");
    },
  });
  const answer = await call(port, "/", { method: "POST", body: "once" });
  expect(answer.status).toBe(503);
  expect(seen).toEqual(["POST"]);
  expect(Object.keys(answer.headers)).not.toContain("x-tulle-upstream-failure");
  expect(client.log()[0]).toContain(" 503 - via_upstream ");
  expect((await call(port)).body).toBe("ok");
  expect(seen).toEqual(["POST", "GET", "GET"]);
});

test("draining finishes what is under way, tells the client to leave and takes no new connection", async () => {
  let release: (() => void) | undefined;
  const { inbound, inboundPort } = await pair({
    permissive: true,
    app: (_request, response) => {
      release = () => response.end("finished");
    },
  });
  const idle = exchangeBytes(inboundPort, "");
  const busy = exchangeBytes(inboundPort, "GET / HTTP/1.1\r\nHost: reviews\r\n\r\n");
  await eventually(() => release);
  inbound.stopAccepting();
  let drained = false;
  const draining = drainConnections(inbound.connections, 2000, systemClock).then(() => {
    drained = true;
  });
  await expect(call(inboundPort)).rejects.toThrow("ECONNREFUSED");
  expect(drained).toBe(false);
  release?.();
  const answer = await busy;
  expect(answer).toContain("connection: close");
  expect(answer).toContain("finished");
  expect(await idle).toBe("");
  await draining;
});

test("what is not finished at the end of a drain is cut", async () => {
  const { inbound, inboundPort } = await pair({ permissive: true, app: () => undefined });
  const busy = exchangeBytes(inboundPort, "GET / HTTP/1.1\r\nHost: reviews\r\n\r\n").catch(() => "cut");
  await eventually(() => inbound.connections.busy === 1);
  await drainConnections(inbound.connections, 50, systemClock);
  expect(await busy).toMatch(/^(cut)?$/);
});

test("an instance that drains under load fails no request", async () => {
  const { client, server, inbound, port, inboundPort } = await pair({
    app: (request, response) => request.pipe(response),
  });
  const second = await server.inbound();
  const both = [inboundPort, second.tcp.address.port].map((each) => ({ port: each, mtls: true }));
  client.apply(endpoints(CLUSTER, both));
  const stop = { now: false };
  let served = 0;
  const load = Array.from({ length: 8 }, async () => {
    while (!stop.now) {
      const answer = await call(port, "/", { method: "POST", body: "x" });
      expect(answer.body).toBe("x");
      served++;
    }
  });
  await eventually(() => served > 100);
  // The endpoint leaves a little later than the drain begins: refused connections are tried elsewhere.
  inbound.stopAccepting();
  const drained = drainConnections(inbound.connections, 400, systemClock);
  await eventually(() => served > 200);
  client.apply(endpoints(CLUSTER, both.slice(1)));
  await drained;
  await eventually(() => served > 300);
  stop.now = true;
  await Promise.all(load);
});

test("bytes of a TLS ClientHello that come one by one are put together", async () => {
  const { inboundPort } = await pair();
  const good = await authority.issue({ serviceAccount: "frontend" });
  const dribble = createServer((down) => {
    const up = connect(inboundPort, "127.0.0.1");
    up.setNoDelay(true);
    let first = true;
    down.on("data", (chunk: Buffer) => {
      if (!first) {
        up.write(chunk);
        return;
      }
      first = false;
      for (const byte of chunk) up.write(Buffer.from([byte]));
    });
    up.pipe(down);
    up.on("error", () => down.destroy());
    down.on("error", () => up.destroy());
  });
  await new Promise<void>((resolve) => dribble.listen(0, "127.0.0.1", resolve));
  const received = await handshake((dribble.address() as AddressInfo).port, {
    cert: good.certificateChainPem,
    key: good.privateKeyPem,
  });
  dribble.close();
  expect(received).toContain("200 OK");
});

test("garbage on the inbound port ends its connection only", async () => {
  const { inboundPort, port } = await pair({ permissive: true });
  expect(
    await exchangeBytes(inboundPort, "\u0016\u0003\u0001garbage that is no TLS record at all").catch(
      () => "",
    ),
  ).not.toContain("200");
  expect(await exchangeBytes(inboundPort, "\u0000\u0001\u0002\r\n\r\n")).toMatch(/^HTTP\/1\.1 400/);
  expect((await call(port)).status).toBe(200);
});
