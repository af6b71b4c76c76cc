import { X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Emitter, silentLogger } from "@tulle/base";
import { createTestAuthority, eventually } from "@tulle/testkit";
import { validateBootstrapConfig } from "@grpc/grpc-js-xds/build/src/xds-bootstrap.js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { keepCertificateFiles } from "./certificate-files.js";
import type { Svid, WorkloadIdentity } from "./contract.js";
import { grpcBootstrap, writeGrpcBootstrap } from "./grpc-bootstrap.js";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-files-"));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test("keepCertificateFiles keeps matching files up to date, for their owner only", async () => {
  const authority = await createTestAuthority();
  let svid: Svid = await authority.issue();
  const rotated = new Emitter<Svid>();
  const identity: WorkloadIdentity = {
    current: () => svid,
    onRotated: rotated.event,
    [Symbol.dispose]: () => undefined,
  };
  const path = join(directory, "certificates");
  const files = await keepCertificateFiles({ directory: path, identity, logger: silentLogger });
  const serial = async (): Promise<string> =>
    new X509Certificate(await readFile(join(path, "cert.pem"))).serialNumber;
  expect(await serial()).toBe(svid.serialNumber);
  expect((await stat(join(path, "key.pem"))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(path, "ca.pem"), "utf8")).toBe(authority.rootCertificatePem);
  for (let i = 0; i < 5; i++) {
    svid = await authority.issue();
    rotated.emit(svid);
  }
  await eventually(async () => (await serial()) === svid.serialNumber);
  expect(await readFile(join(path, "key.pem"), "utf8")).toBe(svid.privateKeyPem);
  await eventually(async () => (await readdir(path)).length === 5);
  files[Symbol.dispose]();
  expect(rotated.hasListeners).toBe(false);
  // A start after a crash finds its own left-overs.
  (await keepCertificateFiles({ directory: path, identity, logger: silentLogger }))[Symbol.dispose]();
  const names = (await readdir(path)).map((name) => (/^\.\.[0-9a-f]{32}\./.test(name) ? "generation" : name));
  expect(names.sort()).toEqual(["..data", "ca.pem", "cert.pem", "generation", "key.pem"]);
});

test("grpcBootstrap is what gRPC's own reader takes", () => {
  const document = grpcBootstrap({
    socketPath: "/run/tulle/xds.sock",
    node: {
      id: "sidecar~127.0.0.1~a.b~b.svc.cluster.local",
      metadata: { NAMESPACE: "b", LABELS: { version: "v1" } },
    },
    certificateDirectory: "/run/tulle/certificates",
  });
  const read = validateBootstrapConfig(structuredClone(document));
  expect(read.xdsServers[0]).toMatchObject({ server_uri: "unix:/run/tulle/xds.sock" });
  expect(read.xdsServers[0]?.server_features).toEqual(["ignore_resource_deletion"]);
  expect(read.node.id).toBe("sidecar~127.0.0.1~a.b~b.svc.cluster.local");
  expect(Object.keys(read.certificateProviders)).toEqual(["default"]);
  expect(document["certificate_providers"]).toMatchObject({
    default: {
      plugin_name: "file_watcher",
      config: { certificate_file: "/run/tulle/certificates/cert.pem" },
    },
  });
});

test("writeGrpcBootstrap writes the document without certificates when there is no directory", async () => {
  const path = join(directory, "grpc", "bootstrap.json");
  await writeGrpcBootstrap({ path, socketPath: "x.sock", node: { id: "i", metadata: {} } });
  const document = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  expect(document).not.toHaveProperty("certificate_providers");
  expect(document["node"]).toEqual({ id: "i", metadata: {}, locality: {} });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});
