import { fromBinary } from "@bufbuild/protobuf";
import type { EndpointDifference } from "@tulle/api";
import { formatAddress } from "@tulle/base";
import type { EncodedResource } from "@tulle/xds";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";

import type { ToldSet } from "./told-sets.js";

/** What is otherwise at a proxy than in the endpoint set that it should have. `told` undefined: it has none. */
export function compareSet(
  set: string,
  expected: EncodedResource | undefined,
  told: ToldSet | undefined,
): readonly EndpointDifference[] {
  const should = healthByAddress(expected);
  const differences: EndpointDifference[] = [];
  const differ = (kind: EndpointDifference["kind"], address: string, message: string): void => {
    differences.push({ kind, set, address, message });
  };
  const has = new Set<string>();
  for (const { address, healthy } of told?.endpoints ?? []) {
    has.add(address);
    const shouldBe = should.get(address);
    if (shouldBe === undefined)
      differ("stale", address, "the proxy has it, and the registry has no such instance to use");
    else if (shouldBe !== healthy) differ("health", address, healthOf(shouldBe));
  }
  for (const [address, healthy] of should) {
    if (has.has(address)) continue;
    const state = healthy ? "healthy" : "unhealthy";
    differ("missing", address, `registered (${state}), and the proxy does not have it`);
  }
  const versions = [expected?.version ?? "", told?.version ?? ""];
  if (differences.length === 0 && versions[0] !== versions[1])
    differ(
      "content",
      "",
      `version ${versions[1] || "none"}, not ${versions[0] || "none"}: other weights or labels`,
    );
  return differences;
}

function healthOf(healthy: boolean): string {
  return healthy
    ? "healthy, and the proxy was told otherwise"
    : "unhealthy, and the proxy was told otherwise";
}

/** Addresses of an encoded ClusterLoadAssignment, with whether each is healthy. An address counts once. */
function healthByAddress(resource: EncodedResource | undefined): ReadonlyMap<string, boolean> {
  const addresses = new Map<string, boolean>();
  if (resource === undefined) return addresses;
  for (const { lbEndpoints } of fromBinary(ClusterLoadAssignmentSchema, resource.bytes).endpoints) {
    for (const { hostIdentifier, healthStatus } of lbEndpoints) {
      const at = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      if (at?.case !== "socketAddress" || at.value.portSpecifier.case !== "portValue") continue;
      const address = formatAddress(at.value.address, at.value.portSpecifier.value);
      if (addresses.has(address)) continue;
      addresses.set(address, healthStatus === HealthStatus.UNKNOWN || healthStatus === HealthStatus.HEALTHY);
    }
  }
  return addresses;
}
