import { create } from "@bufbuild/protobuf";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
  type Cluster,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { applyPolicy } from "./cluster-policy.js";
import { hostOf, portOf, protocolOf } from "./inbound-ports.js";
import { applicationAddress, inboundPool } from "./inbound-sidecar.js";
import { httpVersionOf } from "./mesh-service.js";
import { addressOf } from "./messages.js";
import type { ClusterName } from "./names.js";
import { rawBuffer } from "./tls.js";
import type { Translation } from "./translation.js";
import { behindHeader } from "./upstream-proxy-protocol.js";

/** The cluster of the workload's own application; undefined when the view has no such port. */
export function inboundCluster(
  t: Translation,
  name: string,
  { host, port }: ClusterName,
): Cluster | undefined {
  const inbound = t.view.inbound.find(
    (candidate) => candidate.servicePort === port && hostOf(t, candidate) === host,
  );
  if (inbound === undefined) return undefined;
  const application = applicationAddress(t, inbound.appPort);
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          locality: {},
          lbEndpoints: [
            {
              hostIdentifier: {
                case: "endpoint",
                value: { address: addressOf(application.host, application.port) },
              },
              loadBalancingWeight: 1,
            },
          ],
          loadBalancingWeight: 1,
        },
      ],
    },
  });
  if (inbound.proxyProtocol !== undefined) {
    cluster.transportSocket = behindHeader(rawBuffer(), inbound.proxyProtocol === 1 ? "V1" : "V2");
  }
  const declared = portOf(t, inbound);
  const connectionPool = inboundPool(t, inbound.appPort);
  applyPolicy(
    t,
    cluster,
    { loadBalancer: { simple: "ROUND_ROBIN" }, ...(connectionPool && { connectionPool }) },
    httpVersionOf(protocolOf(t, inbound, declared)),
  );
  return cluster;
}
