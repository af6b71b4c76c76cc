import { create, type JsonObject } from "@bufbuild/protobuf";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { MetadataSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { TULLE_METADATA } from "./provenance.js";

/** Adds to what only Tulle's sidecars read of a cluster. */
export function note(cluster: Cluster, more: JsonObject): void {
  cluster.metadata ??= create(MetadataSchema);
  const { filterMetadata } = cluster.metadata;
  filterMetadata[TULLE_METADATA] = { ...filterMetadata[TULLE_METADATA], ...more };
}
