import { connect as connectTls } from "node:tls";

import { createTestAuthority, eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  createProxy,
  exchangeBytes,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { FRONTEND, SNI } from "../../test/pair.js";
import { inboundChains, originalDestinationCluster, staticCluster } from "../../test/resources.js";
import type { ListenAddress } from "../options.js";
import { InboundInterception } from "./inbound-interception.js";
import { OwnListeners } from "./own-listeners.js";

afterEach(closeAll);

const PASSTHROUGH = "InboundPassthroughCluster";

/** A sidecar whose connections were made to `destination`, with what its listener takes. */
async function redirecting(
  destination: ListenAddress | undefined,
  options: Parameters<typeof createProxy>[0] = {},
): Promise<{ readonly proxy: TestProxy; readonly port: number; readonly own: OwnListeners }> {
  const proxy = createProxy(options);
  const own = new OwnListeners();
  const { configuration, metrics } = proxy;
  const interception = new InboundInterception({
    originalDestination: () => destination,
    own,
    configuration,
    metrics,
  });
  const listener = await proxy.inbound(interception);
  return { proxy, port: listener.tcp.address.port, own };
}

async function serve(proxy: TestProxy, ...passing: readonly ("passthrough" | "strict")[]): Promise<void> {
  const reviews = await backend((_request, response) => response.end("reviews"));
  const ratings = await backend((request, response) =>
    response.end(`ratings for ${String(request.headers["x-forwarded-client-cert"] ?? "nobody")}`),
  );
  const plaintext = (destinationPort: number, cluster: string) =>
    ({ transport: "raw_buffer", destinationPort, cluster, carries: "http" }) as const;
  proxy.apply(
    staticCluster("reviews", reviews.port),
    staticCluster("ratings", ratings.port),
    originalDestinationCluster(PASSTHROUGH),
    inboundChains(
      { transport: "tls", destinationPort: 15_006, serverNames: [SNI], cluster: "reviews", carries: "http" },
      plaintext(15_006, "reviews"),
      plaintext(9080, "reviews"),
      { transport: "tls", destinationPort: 9081, cluster: "ratings", carries: "http" },
      ...(passing.includes("strict") ? [] : [plaintext(9081, "ratings")]),
      ...(passing.includes("passthrough")
        ? [{ transport: "raw_buffer", cluster: PASSTHROUGH, carries: "tcp" } as const]
        : []),
    ),
  );
}

const counted = (proxy: TestProxy, to: string): string =>
  new RegExp(`tulle_redirected_inbound_connections_total\\{to="${to}"\\} (\\d+)`).exec(
    proxy.metricsText(),
  )?.[1] ?? "0";

test("a redirected connection is served by the chain of the port that it was made to", async () => {
  for (const [port, expected] of [
    [9080, "reviews"],
    [9081, "ratings for nobody"],
  ] as const) {
    const { proxy, port: at } = await redirecting({ host: "10.0.0.1", port });
    await serve(proxy, "passthrough");
    expect((await call(at)).body).toBe(expected);
    expect(counted(proxy, "service")).toBe("1");
    await eventually(() => proxy.log().some((line) => line.includes(`10.0.0.1:${port}`)));
  }
});

test("a connection that was made to the listener itself is served by the listener's own chains", async () => {
  const { proxy, port } = await redirecting(undefined);
  await serve(proxy, "passthrough");
  expect((await call(port)).body).toBe("reviews");
  expect(counted(proxy, "service")).toBe("0");
});

test("a redirected connection over mutual TLS needs no server name", async () => {
  const authority = await createTestAuthority();
  const svid = await authority.issue({ serviceAccount: "reviews" });
  const { proxy, port } = await redirecting({ host: "10.0.0.1", port: 9081 }, { svid });
  await serve(proxy, "strict");
  const client = await authority.issue({ serviceAccount: "frontend" });
  const received = await new Promise<string>((resolve) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      cert: client.certificateChainPem,
      key: client.privateKeyPem,
    });
    socket.on("secureConnect", () => socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
  });
  expect(received).toContain(`URI=${FRONTEND}`);
  // Plaintext has no chain there, and must not fall to another port's.
  expect(await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: reviews\r\n\r\n").catch(() => "")).toBe("");
});

test("a port that nobody declares passes unread to where it was made to, the server speaking first", async () => {
  const server = await rawBackend((socket) => {
    socket.write("hello ");
    socket.on("data", (chunk: Buffer) => socket.end(chunk));
  }, true);
  const { proxy, port } = await redirecting({ host: "127.0.0.1", port: server.port });
  await serve(proxy, "passthrough");
  // What looks like TLS is no business of the sidecar's either.
  expect(await exchangeBytes(port, "\u0016\u0003\u0001")).toBe("hello \u0016\u0003\u0001");
  expect(counted(proxy, "passthrough")).toBe("1");
  expect(proxy.metricsText()).toContain("istio_tcp_connections_opened_total");
});

test("AZ-14: a port that nobody declares is refused where nothing passes", async () => {
  const server = await rawBackend((socket) => socket.end("hello"));
  const { proxy, port } = await redirecting({ host: "127.0.0.1", port: server.port });
  await serve(proxy, "strict");
  expect(await exchangeBytes(port, "").catch(() => "")).toBe("");
  expect(server.connections()).toBe(0);
  expect(counted(proxy, "refused")).toBe("1");
});

test("AZ-14: a connection that was made to one of the sidecar's own listeners is refused", async () => {
  for (const host of ["127.0.0.1", "::ffff:127.0.0.1", "::1", "fe80::1%eth0"]) {
    const { proxy, port, own } = await redirecting({ host, port: 15_000 });
    own.add({ host, port: 15_000 });
    await serve(proxy, "passthrough");
    expect(await exchangeBytes(port, "GET /quitquitquit HTTP/1.1\r\nHost: a\r\n\r\n").catch(() => "")).toBe(
      "",
    );
    expect(counted(proxy, "loop")).toBe("1");
  }
});

test("a redirected connection is refused before there is configuration", async () => {
  const { proxy, port } = await redirecting({ host: "10.0.0.1", port: 9080 });
  expect(await exchangeBytes(port, "").catch(() => "")).toBe("");
  expect(counted(proxy, "refused")).toBe("1");
});
