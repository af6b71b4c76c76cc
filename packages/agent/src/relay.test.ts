import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Emitter, silentLogger, systemClock } from "@tulle/base";
import { streamingMethod, type GrpcServerCall, type GrpcServerHandler } from "@tulle/http/socket";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { grpcServiceDefinition, SECRET_TYPE } from "@tulle/xds";
import { SecretSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createPeerIdentity, startGrpcServer, type GrpcServer } from "../../control/src/index.js";
import type { Svid, WorkloadIdentity } from "./contract.js";
import { startRelay, type Relay } from "./relay.js";

const ads = grpcServiceDefinition(AggregatedDiscoveryService);

let authority: TestAuthority;
let directory: string;
let socketPath: string;
let control: GrpcServer;
let svid: Svid | undefined;
let rotated: Emitter<Svid>;
let relay: Relay;
let client: grpc.Client;
let openStreams: number;

beforeEach(async () => {
  authority = await createTestAuthority();
  directory = await mkdtemp(join(tmpdir(), "tulle-relay-"));
  socketPath = join(directory, "agent", "xds.sock");
  rotated = new Emitter<Svid>();
  svid = await authority.issue({ serviceAccount: "reviews" });
  openStreams = 0;
  control = await startControl();
  relay = await start();
  client = new grpc.Client(`unix:${socketPath}`, grpc.credentials.createInsecure());
});

afterEach(async () => {
  client.close();
  await relay.close();
  await control.close(0);
  await rm(directory, { recursive: true, force: true });
});

test("startRelay listens on a socket for its owner only, and removes it", async () => {
  const mode = (await stat(socketPath)).mode;
  expect(mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, "agent"))).mode & 0o777).toBe(0o700);
  expect(await readdir(join(directory, "agent"))).toEqual(["xds.sock"]);
  await relay.close();
  expect(await readdir(join(directory, "agent"))).toEqual([]);
});

test("the relay carries a state-of-the-world stream as the workload, its node put into the first message only", async () => {
  const stream = openSotw();
  stream.call.write(
    create(DiscoveryRequestSchema, {
      typeUrl: "a",
      node: { userAgentName: "gRPC Node Pure JS", metadata: { NAMESPACE: "other", own: "kept" } },
    }),
  );
  stream.call.write(create(DiscoveryRequestSchema, { typeUrl: "b", node: { id: "unchanged" } }));
  await eventually(() => stream.received.length === 2);
  expect(stream.received[0]).toMatchObject({
    nonce: "a",
    versionInfo: "spiffe://cluster.local/ns/default/sa/reviews",
    controlPlane: {
      identifier: JSON.stringify({
        id: "sidecar~127.0.0.1~r.default~default.svc.cluster.local",
        agent: "gRPC Node Pure JS",
        metadata: { NAMESPACE: "default", own: "kept", SERVICE_ACCOUNT: "reviews" },
      }),
    },
  });
  expect(JSON.parse(stream.received[1]?.controlPlane?.identifier ?? "")).toMatchObject({ id: "unchanged" });
  stream.call.end();
  await eventually(() => stream.ended && openStreams === 0);
});

test("the relay carries a delta stream", async () => {
  const method = ads.deltaAggregatedResources;
  const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
  call.on("error", () => undefined);
  const answer = new Promise<DeltaDiscoveryResponse>((resolve) => {
    call.once("data", resolve);
  });
  call.write(create(DeltaDiscoveryRequestSchema, { typeUrl: "d" }));
  expect((await answer).nonce).toBe("d sidecar~127.0.0.1~r.default~default.svc.cluster.local");
  call.cancel();
  await eventually(() => openStreams === 0);
});

test("the relay carries large messages both ways under back-pressure, in order", async () => {
  const stream = openSotw();
  const count = 40;
  for (let i = 0; i < count; i++) {
    stream.call.write(
      create(DiscoveryRequestSchema, { typeUrl: String(i), resourceNames: ["x".repeat(500_000)] }),
    );
  }
  await eventually(() => stream.received.length === count);
  expect(stream.received.map((response) => response.nonce)).toEqual(
    Array.from({ length: count }, (_, i) => String(i)),
  );
  stream.call.cancel();
});

test("the relay ends the stream above when the client goes away", async () => {
  const stream = openSotw();
  stream.call.write(create(DiscoveryRequestSchema, { typeUrl: "a" }));
  await eventually(() => openStreams === 1);
  client.close();
  stream.call.cancel();
  await eventually(() => openStreams === 0);
});

test("the relay hands down the control plane's refusal, and its absence", async () => {
  const refused = openSotw();
  refused.call.write(create(DiscoveryRequestSchema, { typeUrl: "refuse" }));
  expect(await refused.failure).toMatchObject({ code: grpc.status.PERMISSION_DENIED, details: "no" });
  await control.close(0);
  const away = openSotw();
  away.call.write(create(DiscoveryRequestSchema, { typeUrl: "a" }));
  expect(await away.failure).toMatchObject({ code: grpc.status.UNAVAILABLE });
});

test("the relay refuses a first message that does not decode, and streams beyond its limit", async () => {
  const method = ads.streamAggregatedResources;
  const broken = client.makeBidiStreamRequest(
    method.path,
    () => Buffer.from([0xff, 0xff]),
    method.responseDeserialize,
  );
  const failure = new Promise((resolve) => {
    broken.on("error", resolve);
  });
  broken.write({});
  expect(await failure).toMatchObject({ code: grpc.status.INVALID_ARGUMENT });

  const streams = Array.from({ length: 4 }, () => openSotw());
  for (const stream of streams) stream.call.write(create(DiscoveryRequestSchema, { typeUrl: "a" }));
  const extra = openSotw();
  expect(await extra.failure).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED });
  await eventually(() => openStreams === 4);
  for (const stream of streams) stream.call.cancel();
  await eventually(() => openStreams === 0);
  const again = openSotw();
  again.call.write(create(DiscoveryRequestSchema, { typeUrl: "a" }));
  await eventually(() => again.received.length === 1);
});

test("new streams use the rotated certificate", async () => {
  svid = await authority.issue({ serviceAccount: "ratings" });
  rotated.emit(svid);
  const stream = openSotw();
  stream.call.write(create(DiscoveryRequestSchema, { typeUrl: "a" }));
  await eventually(() => stream.received.length === 1);
  expect(stream.received[0]?.versionInfo).toContain("sa/ratings");
});

test("StreamSecrets answers default and ROOTCA here, and pushes them again after a rotation", async () => {
  const stream = openSds("StreamSecrets");
  stream.call.write(request({ resourceNames: ["ROOTCA", "default", "unknown"], typeUrl: SECRET_TYPE }));
  const first = await eventually(() => stream.received[0]);
  expect(secretsOf(first)).toEqual({
    default: { chain: svid?.certificateChainPem, key: svid?.privateKeyPem },
    ROOTCA: { ca: authority.rootCertificatePem },
  });
  // Its acceptance asks for nothing; neither does an old nonce.
  const ack = {
    resourceNames: ["default", "ROOTCA", "unknown"],
    typeUrl: SECRET_TYPE,
    versionInfo: first.versionInfo,
  };
  stream.call.write(request({ ...ack, responseNonce: first.nonce }));
  stream.call.write(request({ ...ack, responseNonce: "stale", resourceNames: ["default"] }));
  svid = await authority.issue({ serviceAccount: "reviews" });
  await eventually(() => rotated.hasListeners);
  rotated.emit(svid);
  const second = await eventually(() => stream.received[1]);
  expect(secretsOf(second)).toMatchObject({ default: { key: svid.privateKeyPem } });
  expect(second.versionInfo).not.toBe(first.versionInfo);
  // Fewer names are a new subscription.
  stream.call.write(request({ ...ack, responseNonce: second.nonce, resourceNames: ["ROOTCA"] }));
  const third = await eventually(() => stream.received[2]);
  expect(Object.keys(secretsOf(third))).toEqual(["ROOTCA"]);
  expect(stream.received).toHaveLength(3);
  stream.call.end();
  await eventually(() => !rotated.hasListeners);
});

test("StreamSecrets waits for the first certificate; ADS says that there is none yet", async () => {
  const ready = svid;
  svid = undefined;
  const stream = openSds("StreamSecrets");
  stream.call.write(request({ resourceNames: ["default"] }));
  const early = openSotw();
  expect(await early.failure).toMatchObject({ code: grpc.status.UNAVAILABLE });
  await eventually(() => rotated.hasListeners);
  svid = ready;
  if (ready !== undefined) rotated.emit(ready);
  expect(secretsOf(await eventually(() => stream.received[0]))).toHaveProperty("default");
  stream.call.cancel();
  await eventually(() => !rotated.hasListeners);
});

test("FetchSecrets answers once", async () => {
  const response = await new Promise<DiscoveryResponse | undefined>((resolve, reject) => {
    client.makeUnaryRequest(
      "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets",
      ads.streamAggregatedResources.requestSerialize,
      ads.streamAggregatedResources.responseDeserialize,
      request({ resourceNames: ["default"] }),
      (error, value) => (error === null ? resolve(value) : reject(error)),
    );
  });
  expect(Object.keys(secretsOf(response))).toEqual(["default"]);
});

test("startRelay replaces the socket that a crash left behind, but not a living agent's", async () => {
  await expect(start()).rejects.toMatchObject({ code: "AGENT_SOCKET_IN_USE" });
  await expect(start(join(directory, "x".repeat(100)))).rejects.toMatchObject({ code: "AGENT_SOCKET_PATH" });
  const left = join(directory, "left.sock");
  const dead = createServer();
  await new Promise<void>((resolve) => {
    dead.listen(left, resolve);
  });
  // A server that ends properly removes its socket, so it is taken from under it.
  const moved = join(directory, "moved.sock");
  await rename(left, moved);
  dead.close();
  const second = await start(moved);
  expect((await stat(moved)).mode & 0o777).toBe(0o600);
  await second.close();
});

function start(path = socketPath): Promise<Relay> {
  const identity: WorkloadIdentity = {
    current() {
      if (svid === undefined) throw new Error("none");
      return svid;
    },
    onRotated: rotated.event,
    [Symbol.dispose]: () => undefined,
  };
  return startRelay({
    socketPath: path,
    identity,
    controlPlane: { address: `127.0.0.1:${control.port}` },
    trustDomain: "cluster.local",
    node: {
      id: "sidecar~127.0.0.1~r.default~default.svc.cluster.local",
      metadata: { NAMESPACE: "default", SERVICE_ACCOUNT: "reviews" },
    },
    clock: systemClock,
    logger: silentLogger,
    maxStreams: 4,
  });
}

/** A control plane whose ADS answers each request with what it says about its sender. */
async function startControl(): Promise<GrpcServer> {
  const own = await authority.issue({ namespace: "istio-system", serviceAccount: "istiod" });
  const peerIdentity = createPeerIdentity({
    trustBundlePem: () => authority.rootCertificatePem,
    trustDomain: "cluster.local",
    clock: systemClock,
  });
  const serve = <Request, Response>(
    call: GrpcServerCall<Response>,
    answer: (message: Request) => void,
  ): GrpcServerHandler<Request> => {
    openStreams++;
    return {
      onMessage: answer,
      onEnd() {
        openStreams--;
        call.end();
      },
      onTaken: () => undefined,
      onGone: () => void openStreams--,
    };
  };
  return startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: { current: () => own, onRotated: () => ({ [Symbol.dispose]: () => undefined }) },
    methods: [
      streamingMethod(ads.streamAggregatedResources, (call: GrpcServerCall<DiscoveryResponse>) =>
        serve<DiscoveryRequest, DiscoveryResponse>(call, (message) => {
          if (message.typeUrl === "refuse") {
            openStreams--;
            call.end(grpc.status.PERMISSION_DENIED, "no");
            return;
          }
          const { id, userAgentName, metadata } = message.node ?? {};
          call.write(
            create(DiscoveryResponseSchema, {
              nonce: message.typeUrl,
              versionInfo: peerIdentity(call)?.spiffeId ?? "",
              controlPlane: { identifier: JSON.stringify({ id, agent: userAgentName, metadata }) },
              typeUrl: message.resourceNames[0] ?? "",
            }),
          );
        }),
      ),
      streamingMethod(ads.deltaAggregatedResources, (call: GrpcServerCall<DeltaDiscoveryResponse>) =>
        serve<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(call, (message) => {
          call.write(
            create(DeltaDiscoveryResponseSchema, {
              nonce: `${message.typeUrl} ${message.node?.id ?? ""}`,
            }),
          );
        }),
      ),
    ],
    clock: systemClock,
  });
}

interface Opened {
  readonly call: grpc.ClientDuplexStream<DiscoveryRequest, DiscoveryResponse>;
  readonly received: DiscoveryResponse[];
  readonly failure: Promise<grpc.ServiceError>;
  ended: boolean;
}

function openSotw(): Opened {
  return openAt(ads.streamAggregatedResources.path);
}

function openSds(name: string): Opened {
  return openAt(`/envoy.service.secret.v3.SecretDiscoveryService/${name}`);
}

function openAt(path: string): Opened {
  const { requestSerialize, responseDeserialize } = ads.streamAggregatedResources;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const opened: Opened = {
    call,
    received: [],
    failure: new Promise((resolve) => {
      call.on("error", resolve);
    }),
    ended: false,
  };
  call.on("data", (response: DiscoveryResponse) => opened.received.push(response));
  call.on("end", () => {
    opened.ended = true;
  });
  return opened;
}

function request(init: MessageInitShape<typeof DiscoveryRequestSchema>): DiscoveryRequest {
  return create(DiscoveryRequestSchema, init);
}

function secretsOf(response: DiscoveryResponse | undefined): Record<string, unknown> {
  return Object.fromEntries(
    (response?.resources ?? []).map((resource) => {
      expect(resource.typeUrl).toBe(SECRET_TYPE);
      const secret = fromBinary(SecretSchema, resource.value);
      const text = (source: { specifier: { value?: unknown } } | undefined): string =>
        Buffer.from((source?.specifier.value as Uint8Array | string | undefined) ?? "").toString();
      return [
        secret.name,
        secret.type.case === "tlsCertificate"
          ? { chain: text(secret.type.value.certificateChain), key: text(secret.type.value.privateKey) }
          : { ca: text(secret.type.case === "validationContext" ? secret.type.value.trustedCa : undefined) },
      ];
    }),
  );
}
