import { create, fromBinary, toBinary, type JsonObject } from "@bufbuild/protobuf";
import { NodeSchema, type Node } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";

/** What a relay tells the control plane about the workload behind it. */
export interface WorkloadNode {
  /** For clients that name none: `sidecar~<ip>~<instance id>.<namespace>~<namespace>.svc.cluster.local`. */
  readonly id: string;
  /** `NAMESPACE`, `SERVICE_ACCOUNT`, `WORKLOAD_NAME`, `LABELS`, … These win over what the client says. */
  readonly metadata: JsonObject;
}

/** The first message of an ADS stream with the workload's identity put into its node. Throws when it does not decode. */
export function withWorkloadNode(
  bytes: Uint8Array,
  kind: "sotw" | "delta",
  workload: WorkloadNode,
): Uint8Array {
  if (kind === "sotw") {
    const request = fromBinary(DiscoveryRequestSchema, bytes);
    request.node = merged(request.node, workload);
    return toBinary(DiscoveryRequestSchema, request);
  }
  const request = fromBinary(DeltaDiscoveryRequestSchema, bytes);
  request.node = merged(request.node, workload);
  return toBinary(DeltaDiscoveryRequestSchema, request);
}

function merged(client: Node | undefined, workload: WorkloadNode): Node {
  const node = client ?? create(NodeSchema);
  node.metadata = { ...node.metadata, ...workload.metadata };
  if (node.id === "") node.id = workload.id;
  return node;
}
