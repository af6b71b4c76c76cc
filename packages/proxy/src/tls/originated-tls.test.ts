import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket, TlsOptions } from "node:tls";

import { createTestAuthority, eventually, type TestAuthority, type TestCertificate } from "@tulle/testkit";
import {
  CertificateValidationContext_TrustChainVerification as TrustChain,
  SubjectAltNameMatcher_SanType as SanType,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import {
  atEnd,
  call,
  closeAll,
  createProxy,
  type TestProxy,
  type TestProxyOptions,
} from "../../test/harness.js";
import {
  apiListener,
  cluster,
  endpoints,
  routes,
  routeTo,
  secret,
  type ClusterOptions,
} from "../../test/resources.js";

// A real TLS server, and what a proxy that originates TLS shows it and demands of it.

type Context = NonNullable<ClusterOptions["originate"]>;

const HOST = "api.example.com";
let authority: TestAuthority;
let server: TestCertificate;
let client: TestCertificate;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tulle-tls-"));
  authority = await createTestAuthority();
  server = await authority.issue({ uris: ["spiffe://other/server"], dnsNames: [HOST, "*.wild.example"] });
  client = await authority.issue({ uris: [], commonName: "client" });
  file("ca.pem", authority.rootCertificatePem);
});
afterEach(closeAll);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Writes a file of the test's directory as programs replace files: whole. */
function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  return path;
}

function path(name: string): { specifier: { case: "filename"; value: string } } {
  return { specifier: { case: "filename", value: join(directory, name) } };
}

function pem(value: string): { specifier: { case: "inlineString"; value: string } } {
  return { specifier: { case: "inlineString", value } };
}

function name(value: string, sanType = SanType.DNS) {
  return { sanType, matcher: { matchPattern: { case: "exact", value } } } as const;
}

/** What a TLS server saw of one request. */
interface Seen {
  readonly sni: string;
  readonly client: string;
  readonly alpn: string;
  readonly metadata: boolean;
}

async function serve(options: TlsOptions = {}): Promise<number> {
  const tls = { key: server.privateKeyPem, cert: server.certificateChainPem, ...options };
  const running = createServer(tls, (request, response) => {
    const socket = request.socket as TLSSocket;
    const seen: Seen = {
      sni: String(socket.servername),
      client: String(socket.getPeerCertificate().subject?.CN ?? ""),
      alpn: String(socket.alpnProtocol),
      metadata: request.headers["x-envoy-peer-metadata"] !== undefined,
    };
    response.end(JSON.stringify(seen));
  });
  running.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => running.listen(0, "127.0.0.1", resolve));
  atEnd(() => {
    running.closeAllConnections();
    running.close();
  });
  return (running.address() as AddressInfo).port;
}

function validated(...names: readonly ReturnType<typeof name>[]): Context {
  return {
    sni: HOST,
    commonTlsContext: {
      alpnProtocols: ["http/1.1"],
      validationContextType: {
        case: "validationContext",
        value: { trustedCa: path("ca.pem"), matchTypedSubjectAltNames: [...names] },
      },
    },
  };
}

/** A proxy in front of a TLS server, with the port at which an application calls it in plaintext. */
async function proxyTo(
  port: number,
  originate: Context,
  options: TestProxyOptions = {},
): Promise<{ proxy: TestProxy; listen: number }> {
  const proxy = createProxy(options);
  proxy.apply(
    apiListener("api:80", "r"),
    routes("r", [routeTo("c")]),
    cluster("c", { originate }),
    endpoints("c", [{ port }]),
  );
  return { proxy, listen: await proxy.listen("api:80") };
}

async function seenBy(port: number, originate: Context, options?: TestProxyOptions): Promise<Seen | number> {
  const { listen } = await proxyTo(port, originate, options);
  const answer = await call(listen);
  return answer.status === 200 ? (JSON.parse(answer.body) as Seen) : answer.status;
}

test("a proxy names the server in SNI, verifies it, and tells it nothing of the mesh", async () => {
  expect(await seenBy(await serve(), validated(name(HOST)))).toEqual({
    sni: HOST,
    client: "",
    alpn: "http/1.1",
    metadata: false,
  });
});

test.each([
  ["a DNS name", name(HOST), 200],
  ["a name under the certificate's wildcard", name("a.wild.example"), 200],
  ["a URI", name("spiffe://other/server", SanType.URI), 200],
  ["another name", name("other.example.com"), 503],
  ["a name two labels under the wildcard", name("a.b.wild.example"), 503],
  ["another URI", name("spiffe://other/server2", SanType.URI), 503],
  ["a URI that is asked for as a DNS name", name("spiffe://other/server"), 503],
  ["an address that it does not have", name("127.0.0.1", SanType.IP_ADDRESS), 503],
])("a server whose certificate is held against %s", async (_what, matcher, status) => {
  const seen = await seenBy(await serve(), validated(matcher));
  expect(typeof seen === "number" ? seen : 200).toBe(status);
});

test("a server with a certificate of another authority, an expired one, or a workload's is refused", async () => {
  const foreign = await (await createTestAuthority()).issue({ dnsNames: [HOST] });
  const expired = await authority.issueExpired({ dnsNames: [HOST] });
  for (const bad of [foreign, expired]) {
    const port = await serve({ key: bad.privateKeyPem, cert: bad.certificateChainPem });
    expect(await seenBy(port, validated(name(HOST)))).toBe(503);
  }
});

test("only ACCEPT_UNTRUSTED believes any server", async () => {
  const foreign = await (await createTestAuthority()).issue({ dnsNames: ["somebody.else"] });
  const port = await serve({ key: foreign.privateKeyPem, cert: foreign.certificateChainPem });
  const context: Context = {
    sni: HOST,
    commonTlsContext: {
      validationContextType: {
        case: "validationContext",
        value: { trustChainVerification: TrustChain.ACCEPT_UNTRUSTED },
      },
    },
  };
  expect(await seenBy(port, context)).toMatchObject({ sni: HOST });
});

test("a certificate on the revocation list is refused, and one that is not goes on", async () => {
  const other = await authority.issue({ dnsNames: [HOST] });
  const port = await serve();
  const withList = async (revoked: TestCertificate): Promise<Seen | number> => {
    file("crl.pem", await authority.revoke([revoked]));
    const context = validated(name(HOST));
    const value = context.commonTlsContext!.validationContextType!.value as { crl?: unknown };
    value.crl = path("crl.pem");
    return seenBy(port, context);
  };
  expect(await withList(server)).toBe(503);
  expect(await withList(other)).toMatchObject({ sni: HOST });
});

test("a proxy shows its client certificate; a new one in the files is shown without a restart", async () => {
  file("client.pem", client.certificateChainPem);
  file("client.key", client.privateKeyPem);
  const port = await serve({ requestCert: true, ca: authority.rootCertificatePem });
  const context = validated(name(HOST));
  context.commonTlsContext!.tlsCertificates = [
    { certificateChain: path("client.pem"), privateKey: path("client.key") },
  ];
  const { listen, proxy } = await proxyTo(port, context);
  const shown = async (): Promise<string> => (JSON.parse((await call(listen)).body) as Seen).client;
  expect(await shown()).toBe("client");

  // A key that does not fit is not taken into use.
  const next = await authority.issue({ uris: [], commonName: "next" });
  file("client.pem", next.certificateChainPem);
  await eventually(() => proxy.metricsText().includes('tulle_tls_context_updates_total{result="failure"} 1'));
  expect(await shown()).toBe("client");
  file("client.key", next.privateKeyPem);
  await eventually(async () => (await shown()) === "next");
});

test("files that are not there yet are a failure that says so, until they are", async () => {
  const port = await serve();
  const context = validated(name(HOST));
  const value = context.commonTlsContext!.validationContextType!.value as { trustedCa?: unknown };
  value.trustedCa = path("later.pem");
  const { listen, proxy } = await proxyTo(port, context);
  expect((await call(listen)).status).toBe(503);
  expect(proxy.log().join("\n")).toMatch(/later\.pem cannot be read: ENOENT/);
  file("later.pem", authority.rootCertificatePem);
  await eventually(async () => (await call(listen)).status === 200);
});

test("certificates and authorities come as Secrets, and change with them", async () => {
  const port = await serve({ requestCert: true, ca: authority.rootCertificatePem });
  const certificate = ({ certificateChainPem, privateKeyPem }: TestCertificate) =>
    secret("cred", {
      case: "tlsCertificate",
      value: { certificateChain: pem(certificateChainPem), privateKey: pem(privateKeyPem) },
    });
  const { listen, proxy } = await proxyTo(port, {
    sni: HOST,
    commonTlsContext: {
      alpnProtocols: ["http/1.1"],
      tlsCertificateSdsSecretConfigs: [{ name: "cred" }],
      validationContextType: {
        case: "combinedValidationContext",
        value: {
          defaultValidationContext: { matchTypedSubjectAltNames: [name(HOST)] },
          validationContextSdsSecretConfig: { name: "cred-cacert" },
        },
      },
    },
  });
  proxy.apply(
    secret("cred-cacert", {
      case: "validationContext",
      value: { trustedCa: pem(authority.rootCertificatePem) },
    }),
  );
  // The listener waits for what is still missing.
  const first = call(listen);
  proxy.apply(certificate(client));
  expect((JSON.parse((await first).body) as Seen).client).toBe("client");
  proxy.apply(certificate(await authority.issue({ uris: [], commonName: "next" })));
  expect((JSON.parse((await call(listen)).body) as Seen).client).toBe("next");
});

test("where no authorities are named, the operating system's are believed", async () => {
  const context: Context = {
    sni: HOST,
    commonTlsContext: {
      validationContextType: {
        case: "validationContext",
        value: { systemRootCerts: {}, matchTypedSubjectAltNames: [name(HOST)] },
      },
    },
  };
  const port = await serve();
  expect(await seenBy(port, context)).toBe(503);
  const systemRootsFile = join(directory, "ca.pem");
  expect(await seenBy(port, context, { systemRootsFile })).toMatchObject({ sni: HOST });
});

test("a server that speaks HTTP/2 is spoken to in HTTP/2, with https as its scheme", async () => {
  const running = createSecureServer(
    { key: server.privateKeyPem, cert: server.certificateChainPem },
    (request, response) => response.end(`${request.httpVersion} ${request.scheme}`),
  );
  await new Promise<void>((resolve) => running.listen(0, "127.0.0.1", resolve));
  atEnd(() => void running.close());
  const context = validated(name(HOST));
  context.commonTlsContext!.alpnProtocols = ["h2"];
  const { listen } = await proxyTo((running.address() as AddressInfo).port, context);
  expect((await call(listen)).body).toBe("2.0 https");
});
