// An application of the mesh gets its SVIDs from the SPIFFE Workload API, as `tulle run` tells it.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { eventually } from "@tulle/testkit";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  JWTSVIDRequestSchema,
  SpiffeWorkloadAPI,
  ValidateJWTSVIDRequestSchema,
  X509SVIDRequestSchema,
  type JWTSVIDResponse,
  type ValidateJWTSVIDResponse,
  type X509SVIDResponse,
} from "@tulle/xds/gen/spiffe/workload_pb.js";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Mesh } from "./support/mesh.js";

const ID = "spiffe://cluster.local/ns/default/sa/web";
const methods = grpcServiceDefinition(SpiffeWorkloadAPI);

let mesh: Mesh;
let client: grpc.Client;
let metadata: grpc.Metadata;

beforeAll(async () => {
  mesh = await Mesh.start(["--certificate-ttl", "8s"]);
  // The application writes down what it was told, then serves.
  const told = join(mesh.directory, "told");
  const command = ["sh", "-c", `printf %s "$SPIFFE_ENDPOINT_SOCKET" > ${told}; exec sleep 1000`];
  mesh.launch({ service: "web", command, healthPath: "" });
  const socket = await eventually(() => {
    const text = readFileSync(told, "utf8");
    return text === "" ? undefined : text;
  }, 30_000);
  expect(socket).toMatch(/^unix:\/\/\//);
  client = new grpc.Client(socket, grpc.credentials.createInsecure());
  metadata = new grpc.Metadata();
  metadata.set("workload.spiffe.io", "true");
}, 60_000);

afterAll(async () => {
  client?.close();
  await mesh.end();
});

test("X.509-SVIDs come, and come again when they are renewed", async () => {
  const { path, requestSerialize, responseDeserialize } = methods.fetchX509SVID;
  const received: X509SVIDResponse[] = [];
  const call = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    create(X509SVIDRequestSchema),
    metadata,
  );
  call.on("data", (message: X509SVIDResponse) => received.push(message));
  call.on("error", () => undefined);
  const serials = (): ReadonlySet<string> =>
    new Set(received.map(({ svids }) => new X509Certificate(svids[0]!.x509Svid).serialNumber));
  await eventually(() => serials().size >= 2, 20_000);
  call.cancel();
  expect(received[0]?.svids[0]?.spiffeId).toBe(ID);
});

test("a JWT-SVID is signed by the control plane and valid for its audience only", async () => {
  const sign = methods.fetchJWTSVID;
  const { svids } = await new Promise<JWTSVIDResponse>((resolve, reject) => {
    const request = create(JWTSVIDRequestSchema, { audience: ["ledger"] });
    client.makeUnaryRequest(
      sign.path,
      sign.requestSerialize,
      sign.responseDeserialize,
      request,
      metadata,
      (error, value) => (error === null ? resolve(value!) : reject(error)),
    );
  });
  const check = methods.validateJWTSVID;
  const validate = (audience: string): Promise<ValidateJWTSVIDResponse> =>
    new Promise((resolve, reject) => {
      const request = create(ValidateJWTSVIDRequestSchema, { audience, svid: svids[0]!.svid });
      client.makeUnaryRequest(
        check.path,
        check.requestSerialize,
        check.responseDeserialize,
        request,
        metadata,
        (error, value) => (error === null ? resolve(value!) : reject(error)),
      );
    });
  expect((await validate("ledger")).spiffeId).toBe(ID);
  await expect(validate("vault")).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
});
