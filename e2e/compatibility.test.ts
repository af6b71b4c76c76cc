import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { VERSION } from "@tulle/base";
import { eventually } from "@tulle/testkit";
import { grpcServiceDefinition, LISTENER_TYPE } from "@tulle/xds";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";
import { afterEach, describe, expect, test } from "vitest";

import { record } from "./compatibility/recording.js";
import { Mesh } from "./support/mesh.js";

// What earlier versions have written, and said, is read and understood by this one (docs/upgrades.md). A new minor version
// records itself once: RECORD_COMPATIBILITY=1 npx vitest run e2e/compatibility.test.ts

const DIRECTORY = fileURLToPath(new URL("compatibility/", import.meta.url));

if (process.env["RECORD_COMPATIBILITY"] === "1") await record(join(DIRECTORY, minorOf(VERSION)));

const recorded = readdirSync(DIRECTORY, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

let mesh: Mesh | undefined;
const ended: (() => void)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0)) end();
  await mesh?.end();
  mesh = undefined;
});

function minorOf(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

interface Kept {
  readonly resources: readonly { readonly typeUrl: string; readonly name: string }[];
}

/** What the recorded sidecar had been given. */
function keptBy(version: string): Kept["resources"] {
  const path = join(DIRECTORY, version, "state", "web", "configuration.json");
  return (JSON.parse(readFileSync(path, "utf8")) as Kept).resources;
}

/** A stream with the recorded identity; requests are bytes. */
async function openStream(version: string) {
  const identity = JSON.parse(
    readFileSync(join(DIRECTORY, version, "state", "web", "identity.json"), "utf8"),
  ) as Record<"trustBundlePem" | "privateKeyPem" | "certificateChainPem", string>;
  const [root, key, chain] = [
    identity.trustBundlePem,
    identity.privateKeyPem,
    identity.certificateChainPem,
  ].map((pem) => Buffer.from(pem));
  const client = new grpc.Client(mesh!.addresses.xds, grpc.credentials.createSsl(root, key, chain));
  const { deltaAggregatedResources: method } = grpcServiceDefinition(AggregatedDiscoveryService);
  const call = client.makeBidiStreamRequest(
    method!.path,
    (bytes: Uint8Array) => Buffer.from(bytes),
    method!.responseDeserialize as (bytes: Buffer) => DeltaDiscoveryResponse,
  );
  ended.push(() => {
    call.cancel();
    client.close();
  });
  const send = (request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void => {
    call.write(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request)));
  };
  const given = new Map<string, number>();
  let over: string | undefined;
  call.on("data", ({ typeUrl, resources, nonce: responseNonce }: DeltaDiscoveryResponse) => {
    for (const { name, resource } of resources) given.set(`${typeUrl} ${name}`, resource?.value.length ?? 0);
    send({ typeUrl, responseNonce });
  });
  call.on("status", ({ details }: grpc.StatusObject) => (over = details));
  call.on("error", () => undefined);
  const awaitGiven = (typeUrl: string, name: string): Promise<number> =>
    eventually(() => {
      if (over !== undefined) throw new Error(over);
      return given.get(`${typeUrl} ${name}`);
    });
  return { call, send, awaitGiven };
}

test("this version has recorded itself", () => {
  expect(recorded).toContain(minorOf(VERSION));
});

describe.each(recorded)("of version %s", (version) => {
  const startMesh = async (): Promise<Mesh> => {
    mesh = await Mesh.start([], join(DIRECTORY, version));
    return mesh;
  };

  test("a control plane's data is found again: objects, services, the root", async () => {
    const { client } = await startMesh();
    const objects = await mesh!.ask(
      "get",
      "virtualservices,destinationrules,authorizationpolicies",
      "-o",
      "json",
    );
    expect(objects.code).toBe(0);
    const { items } = JSON.parse(objects.out) as { items: { kind: string; metadata: { name: string } }[] };
    expect(items.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
      "AuthorizationPolicy reviews",
      "DestinationRule reviews",
      "VirtualService reviews",
    ]);
    const known = await client.registry.health("reviews", { namespace: "default" });
    expect(known.map(({ Service }) => Service.ID)).toHaveLength(1);
    const { rootCertificatePem } = await client.info();
    const before = readFileSync(join(DIRECTORY, version, "state", "web", "control-plane.json"), "utf8");
    expect(rootCertificatePem).toContain(
      (JSON.parse(before) as { rootCertificatePem: string }).rootCertificatePem,
    );
  });

  test("a sidecar is served: its first request byte by byte, with its certificate, and every name that it had", async () => {
    await startMesh();
    const { call, send, awaitGiven } = await openStream(version);
    call.write(readFileSync(join(DIRECTORY, version, "first-request.binpb")));
    expect(await awaitGiven(LISTENER_TYPE, "reviews:8080")).toBeGreaterThan(0);
    const kept = keptBy(version);
    expect(new Set(kept.map(({ typeUrl }) => typeUrl)).size).toBeGreaterThanOrEqual(4);
    for (const { typeUrl, name } of kept) {
      send({ typeUrl, resourceNamesSubscribe: [name] });
      expect(await awaitGiven(typeUrl, name), name).toBeGreaterThan(0);
    }
    const { proxies } = await mesh!.client.status();
    expect(proxies.map((proxy) => proxy.version)).toEqual([expect.stringMatching(`^${version}\\.`)]);
  });

  test("a sidecar's state directory does for a start without control plane", async () => {
    const { control } = await startMesh();
    await control.stop();
    const web = await mesh!.sidecar({ service: "web", args: ["--upstream", "reviews:8080"] });
    const dump = JSON.stringify(await web.admin("/config_dump?include_eds"));
    for (const { name } of keptBy(version)) expect(dump).toContain(JSON.stringify(name).slice(1, -1));
    expect(web.process.output).not.toContain("is not used");
    const { certificates } = (await web.admin("/certs")) as { certificates: unknown[] };
    expect(certificates).toHaveLength(1);
  });

  test("a state directory that a newer version has written is refused, and says why", async () => {
    await startMesh();
    const path = join(mesh!.directory, "state", "web", "format.json");
    writeFileSync(path, '{"format":1000}');
    await expect(mesh!.sidecar({ service: "web" })).rejects.toThrow(/has format 1000, Tulle [^ ]+ reads 1/);
  });
});
