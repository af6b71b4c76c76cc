import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type TlsOptions } from "node:tls";

import { controlPlaneSpiffeId, systemClock } from "@tulle/base";
import type { GrpcMethod } from "@tulle/http/socket";
import { createTestAuthority, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { connectControlPlane, controlPlaneError } from "./control-plane.js";

const METHOD: GrpcMethod<string, string> = {
  path: "/test.Text/Any",
  requestSerialize: (text) => Buffer.from(text),
  responseDeserialize: String,
};

let authority: TestAuthority;
let server: Server | undefined;

beforeEach(async () => {
  authority = await createTestAuthority();
});

afterEach(() => {
  server?.close();
  server = undefined;
});

/** A server with a certificate of the control plane; answers every connection with `bytes`. */
async function listen(options: TlsOptions, bytes = ""): Promise<string> {
  const own = await authority.issue({ uris: [controlPlaneSpiffeId("cluster.local")] });
  server = createServer({ cert: own.certificateChainPem, key: own.privateKeyPem, ...options }, (socket) => {
    socket.on("error", () => undefined);
    socket.end(bytes);
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What a call to `address` fails with, as the agent says it. */
async function failure(address: string, root = authority.rootCertificatePem): Promise<unknown> {
  const target = { address, rootCertificatePem: root, trustDomain: "cluster.local" };
  const client = connectControlPlane(target, undefined, systemClock);
  try {
    return await client.unary(METHOD, "secret").catch((thrown: unknown) => controlPlaneError(target, thrown));
  } finally {
    client[Symbol.dispose]();
  }
}

test("a server that does not choose HTTP/2 is no control plane", async () => {
  const address = await listen({}, "HTTP/1.1 400 Bad Request\r\n\r\n");
  expect(await failure(address)).toMatchObject({
    kind: "unavailable",
    code: "AGENT_CONTROL_PLANE",
    source: "control",
    message: `cannot reach the control plane at ${address}: cannot connect: the server does not speak HTTP/2 (ALPN)`,
  });
});

test("a server that chooses HTTP/2 and speaks something else is none, either", async () => {
  const address = await listen({ ALPNProtocols: ["h2"] }, "HTTP/1.1 400 Bad Request\r\n\r\n");
  const error = (await failure(address)) as Error;
  expect(error.message).toContain("the server does not speak HTTP/2 as it must");
});

test("a workload's certificate of the same root does not pass for the control plane's, and a foreign root's neither", async () => {
  const bob = await authority.issue({ serviceAccount: "bob" });
  const address = await listen({
    cert: bob.certificateChainPem,
    key: bob.privateKeyPem,
    ALPNProtocols: ["h2"],
  });
  expect(((await failure(address)) as Error).message).toContain(
    "the server is spiffe://cluster.local/ns/default/sa/bob, not spiffe://cluster.local/",
  );
  server?.close();
  const other = await listen({ ALPNProtocols: ["h2"] });
  const foreign = await createTestAuthority();
  expect(await failure(other, foreign.rootCertificatePem)).toMatchObject({ kind: "unavailable" });
});

test.each(["127.0.0.1", "", "localhost:", "a b:1", "localhost:0"])("%j is no address", async (address) => {
  await expect(failure(address)).rejects.toMatchObject({ code: "AGENT_CONTROL_PLANE_ADDRESS" });
});

test("an address may be a name or of IPv6", async () => {
  const address = await listen({});
  const port = address.slice(address.lastIndexOf(":") + 1);
  expect(((await failure(`localhost:${port}`)) as Error).message).toContain("(ALPN)");
  expect(((await failure(`[::1]:${port}`)) as Error).message).toMatch(/ECONNREFUSED|EADDRNOTAVAIL/);
});
