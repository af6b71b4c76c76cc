import { Emitter, type Logger } from "@tulle/base";
import type { GrpcServerCall } from "@tulle/http/socket";
import { FakeClock } from "@tulle/testkit";
import { ROOT_SECRET, SECRET_TYPE, secretDiscoveryService } from "@tulle/xds";
import { DiscoveryRequestSchema } from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import type { MeshTrust } from "./mesh-trust.js";
import { TrustDistribution } from "./trust-distribution.js";

test("a workload that does not read is sent the newest roots when it does, and no more waits for it", () => {
  const clock = new FakeClock();
  const changed = new Emitter<void>();
  const trust = {
    version: "1",
    trustDomain: "td.example",
    bundles: { "td.example": "roots" },
    revocationListsPem: "",
    onChanged: changed.event,
  };
  const distribution = new TrustDistribution({
    trust: trust as unknown as MeshTrust,
    identify: () => ({
      spiffeId: "spiffe://td.example/ns/default/sa/reviews",
      trustDomain: "td.example",
      namespace: "default",
      serviceAccount: "reviews",
      certificateDer: new Uint8Array(),
      notAfter: clock.now() + 3_600_000,
    }),
    clock,
    logger: {} as Logger,
  });
  const versions: string[] = [];
  const waiting = { bytes: 0 };
  const call: GrpcServerCall<Uint8Array> = {
    path: "",
    metadata: [],
    peer: { address: "", certificateDer: undefined },
    get waitingBytes() {
      return waiting.bytes;
    },
    write(bytes) {
      versions.push(secretDiscoveryService.streamSecrets.responseDeserialize(bytes).versionInfo);
      return true;
    },
    end: () => undefined,
    cut: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
  };
  const handler = distribution.methods()[0]!.open(call);
  const request = { typeUrl: SECRET_TYPE, resourceNames: [ROOT_SECRET] };
  handler!.onMessage(Buffer.from(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, request))));
  expect(versions).toEqual(["1"]);
  waiting.bytes = 1;
  for (const version of ["2", "3"]) {
    trust.version = version;
    changed.emit();
  }
  handler!.onTaken();
  expect(versions).toEqual(["1"]);
  waiting.bytes = 0;
  handler!.onTaken();
  handler!.onTaken();
  expect(versions).toEqual(["1", "3"]);
  distribution[Symbol.dispose]();
});
