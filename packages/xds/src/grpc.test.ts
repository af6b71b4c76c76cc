import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { AggregatedDiscoveryService } from "./gen/envoy/service/discovery/v3/ads_pb.js";
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from "./gen/envoy/service/discovery/v3/discovery_pb.js";
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
  IstioCertificateService,
  type IstioCertificateRequest,
  type IstioCertificateResponse,
} from "./gen/istio/v1/auth/ca_pb.js";
import { grpcServiceDefinition, rawGrpcServiceDefinition } from "./grpc.js";

const certificates = grpcServiceDefinition(IstioCertificateService);
const discovery = grpcServiceDefinition(AggregatedDiscoveryService);
const rawDiscovery = rawGrpcServiceDefinition(AggregatedDiscoveryService);

let server: grpc.Server;
let client: grpc.Client;

beforeEach(async () => {
  server = new grpc.Server();
  server.addService(certificates, {
    createCertificate: ((call, callback) => {
      callback(null, create(IstioCertificateResponseSchema, { certChain: [call.request.csr, "root"] }));
    }) satisfies grpc.handleUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
  });
  server.addService(discovery, {
    // By the name of the .proto file, and answering bytes that are encoded already.
    StreamAggregatedResources: (call: grpc.ServerDuplexStream<DiscoveryRequest, Uint8Array>) => {
      call.on("error", () => undefined);
      call.on("data", (request: DiscoveryRequest) => {
        call.write(
          toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { nonce: request.typeUrl })),
        );
      });
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
});

afterEach(() => {
  client.close();
  server.forceShutdown();
});

test("grpcServiceDefinition carries a unary call", async () => {
  const method = certificates.createCertificate;
  const response = await new Promise<IstioCertificateResponse | undefined>((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      create(IstioCertificateRequestSchema, { csr: "leaf" }),
      (error, value) => (error === null ? resolve(value) : reject(error)),
    );
  });
  expect(response?.certChain).toEqual(["leaf", "root"]);
});

test("grpcServiceDefinition carries a bidirectional stream whose server answers encoded bytes", async () => {
  const method = discovery.streamAggregatedResources;
  const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
  const nonces = new Promise<string[]>((resolve, reject) => {
    const seen: string[] = [];
    call.on("data", (response: DiscoveryResponse) => seen.push(response.nonce));
    call.on("end", () => resolve(seen));
    call.on("error", reject);
  });
  call.write(create(DiscoveryRequestSchema, { typeUrl: "a" }));
  call.write(create(DiscoveryRequestSchema, { typeUrl: "b" }));
  call.end();
  expect(await nonces).toEqual(["a", "b"]);
});

test("rawGrpcServiceDefinition hands bytes through unchanged", async () => {
  const method = rawDiscovery.streamAggregatedResources;
  const request = toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { typeUrl: "raw" }));
  const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
  const received = new Promise<Uint8Array>((resolve, reject) => {
    call.on("data", resolve);
    call.on("error", reject);
  });
  call.write(request);
  const expected = toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { nonce: "raw" }));
  expect(Buffer.compare(Buffer.from(await received), Buffer.from(expected))).toBe(0);
  call.end();
});

test("grpcServiceDefinition names paths and stream directions as the service does", () => {
  expect(discovery.deltaAggregatedResources).toMatchObject({
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    originalName: "DeltaAggregatedResources",
  });
  expect(certificates.createCertificate).toMatchObject({
    path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
    requestStream: false,
    responseStream: false,
  });
});

test("grpcServiceDefinition ends a call whose message does not decode", async () => {
  const method = certificates.createCertificate;
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    client.makeUnaryRequest(
      method.path,
      () => Buffer.from([0xff, 0xff, 0xff]),
      method.responseDeserialize,
      null,
      (failure) => resolve(failure),
    );
  });
  expect(error?.code).toBe(grpc.status.INTERNAL);
});
