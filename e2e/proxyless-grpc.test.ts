import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import { findKind, type MeshInfo } from "@tulle/api";
import { silentLogger } from "@tulle/base";
import { createClient, type Client } from "@tulle/client";
import { startControlPlane, type ControlPlane } from "@tulle/control";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

// A proxyless gRPC client that nobody here wrote follows our control plane: servers without sidecars, found by
// `xds:///`, balanced, split and replaced by configuration alone.

const SERVICE = {
  whoami: {
    path: "/test.Who/Ami",
    requestStream: false,
    responseStream: false,
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: (bytes: Buffer) => bytes.toString(),
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: (bytes: Buffer) => bytes.toString(),
  },
};
const TULLE = fileURLToPath(new URL("../packages/cli/bin/tulle.mjs", import.meta.url));
const CLIENT = fileURLToPath(new URL("clients/grpc-xds-client.mjs", import.meta.url));

interface Backend {
  readonly id: string;
  readonly server: grpc.Server;
}

const TARGET = "xds:///who.default.svc.cluster.local:9080";

type Caller = ChildProcessWithoutNullStreams;

/** The two ways for a proxyless client to reach the control plane. */
const WAYS: readonly {
  readonly name: string;
  readonly start: (info: MeshInfo, directory: string) => Caller;
}[] = [
  {
    name: "the plaintext port",
    start: ({ addresses }) => {
      const bootstrap = {
        xds_servers: [
          {
            server_uri: addresses.xdsPlaintext,
            channel_creds: [{ type: "insecure" }],
            server_features: ["ignore_resource_deletion"],
          },
        ],
        node: { id: "proxyless-test", locality: {} },
      };
      const environment = { ...process.env, GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) };
      return spawn(process.execPath, [CLIENT, TARGET], { env: environment });
    },
  },
  {
    name: "the relay of `tulle run --proxyless`",
    start: ({ addresses }, directory) => {
      const server = ["--server", `http://${addresses.http}`];
      const options = ["--service", "caller", "--proxyless", "--state-dir", directory, ...server];
      return spawn(process.execPath, [TULLE, "run", ...options, "--", process.execPath, CLIENT, TARGET]);
    },
  },
];

describe.each(WAYS)("grpc-js-xds through $name", ({ start }) => {
  let control: ControlPlane;
  let client: Client;
  const backends: Backend[] = [];
  const directory = mkdtempSync(join(tmpdir(), "tulle-proxyless-"));
  let caller: Caller;
  let lines: AsyncIterator<string>;

  beforeAll(async () => {
    control = await startControlPlane({
      httpPort: 0,
      dnsPort: 0,
      xdsPort: 0,
      plaintextXdsPort: 0,
      logger: silentLogger,
      random: Math.random,
    });
    client = createClient({ server: `http://${control.info.addresses.http}` });
    caller = start(control.info, directory);
    lines = createInterface({ input: caller.stdout })[Symbol.asyncIterator]();
  });

  afterAll(async () => {
    caller.stdin.end();
    caller.kill();
    for (const { server } of backends) server.forceShutdown();
    await control.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function startBackend(id: string, version: string, service = "who"): Promise<Backend> {
    const server = new grpc.Server();
    server.addService(SERVICE, {
      whoami: (_call: unknown, done: grpc.sendUnaryData<string>) => done(null, id),
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    await client.registry.register({
      ID: id,
      Name: service,
      Address: "127.0.0.1",
      Port: port,
      Tags: [version],
      Meta: { "tulle-protocol": "grpc", "tulle-service-port": "9080" },
    });
    const backend = { id, server };
    backends.push(backend);
    return backend;
  }

  /** Who answered how often; rejects with the first call's error. */
  async function answers(count: number, metadata: Record<string, string> = {}): Promise<Map<string, number>> {
    caller.stdin.write(`${JSON.stringify({ count, metadata })}\n`);
    const { value } = await lines.next();
    const answer = JSON.parse(value as string) as { answers?: Record<string, number>; error?: string };
    if (answer.answers === undefined) throw new Error(answer.error);
    return new Map(Object.entries(answer.answers));
  }

  test("it finds the endpoints of a service and balances over them", async () => {
    await startBackend("a", "v1");
    await startBackend("b", "v2");
    await eventually(async () => (await answers(10)).size === 2);
    const seen = await answers(40);
    expect(seen.get("a")).toBe(20);
    expect(seen.get("b")).toBe(20);
  });

  test("it follows a header match and a weighted split", async () => {
    const kind = findKind("networking.istio.io", "VirtualService")!;
    const to = (subset: string, weight: number): object => ({ destination: { host: "who", subset }, weight });
    await client.resources.apply(kind, {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "who" },
      spec: {
        hosts: ["who"],
        http: [
          {
            match: [{ headers: { version: { exact: "v2" } } }],
            route: [{ destination: { host: "who", subset: "v2" } }],
          },
          { route: [to("v1", 100), to("v2", 0)] },
        ],
      },
    });
    await eventually(async () => (await answers(10)).get("a") === 10);
    expect((await answers(10, { version: "v2" })).get("b")).toBe(10);

    await client.resources.patch(
      kind,
      { name: "who" },
      {
        spec: { http: [{ route: [to("v1", 50), to("v2", 50)] }] },
      },
    );
    await eventually(async () => (await answers(20)).size === 2);
    const split = await answers(200);
    // 6 standard deviations of a fair coin.
    expect(Math.abs((split.get("a") ?? 0) - 100)).toBeLessThan(43);
    await client.resources.delete(kind, { name: "who" });
  });

  test("it injects the faults of a rule", async () => {
    const kind = findKind("networking.istio.io", "VirtualService")!;
    await client.resources.apply(kind, {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "who" },
      spec: {
        hosts: ["who"],
        http: [
          {
            match: [{ headers: { meet: { exact: "fault" } } }],
            fault: { abort: { grpcStatus: "DATA_LOSS", percentage: { value: 100 } } },
            route: [{ destination: { host: "who" } }],
          },
          { route: [{ destination: { host: "who" } }] },
        ],
      },
    });
    const code = async (): Promise<string> =>
      answers(1, { meet: "fault" }).then(
        () => "",
        (error: Error) => error.message,
      );
    await eventually(async () => (await code()).includes("DATA_LOSS"));
    expect((await answers(10)).size).toBeGreaterThan(0);
    await client.resources.delete(kind, { name: "who" });
    await eventually(async () => (await code()) === "");
  });

  test("it follows a GRPCRoute by method and header, and calls without a backend fail", async () => {
    await startBackend("next", "v1", "who-next");
    const kind = findKind("gateway.networking.k8s.io", "GRPCRoute")!;
    const rule = (header: string, backend: string): object => ({
      matches: [
        {
          method: { service: "test.Who", method: "Ami" },
          ...(header === "" ? {} : { headers: [{ name: header, value: "yes" }] }),
        },
      ],
      backendRefs: [{ name: backend, port: 9080 }],
    });
    await client.resources.apply(kind, {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "GRPCRoute",
      metadata: { name: "who" },
      spec: {
        parentRefs: [{ group: "", kind: "Service", name: "who", port: 9080 }],
        rules: [rule("", "who"), rule("next", "who-next"), rule("lost", "nobody")],
      },
    });
    await eventually(async () => (await answers(5, { next: "yes" })).get("next") === 5);
    expect((await answers(10)).has("next")).toBe(false);
    await expect(answers(1, { lost: "yes" })).rejects.toThrow("UNAVAILABLE");
    await client.resources.delete(kind, { name: "who" });
    await client.registry.deregister("next");
    await eventually(async () => !(await answers(5, { next: "yes" })).has("next"));
  });

  test("it follows endpoints that come and go", async () => {
    await startBackend("c", "v1");
    await eventually(async () => (await answers(12)).size === 3);
    await client.registry.deregister("a");
    await client.registry.maintenance("b", true);
    await eventually(async () => {
      const seen = await answers(6);
      return seen.size === 1 && seen.has("c");
    });
  });

  test("it goes on when the control plane is gone", async () => {
    await control.close();
    expect((await answers(10)).get("c")).toBe(10);
  });
});
