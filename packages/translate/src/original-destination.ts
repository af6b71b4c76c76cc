import { create } from "@bufbuild/protobuf";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
  type Cluster,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { applyPolicy } from "./cluster-policy.js";
import type { Translation } from "./translation.js";

/** A cluster without endpoints: each connection goes to where its caller's was going. */
export function originalDestinationCluster(t: Translation, name: string): Cluster {
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
  });
  applyPolicy(t, cluster, {}, "http1");
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  cluster.lbConfig = { case: undefined };
  return cluster;
}
