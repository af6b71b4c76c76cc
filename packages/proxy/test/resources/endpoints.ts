import { create } from "@bufbuild/protobuf";
import type { ResourceChange } from "@tulle/engine";
import { ENDPOINT_TYPE } from "@tulle/xds";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { resource, socketAddress } from "./message.js";

export interface EndpointInit {
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly port: number;
  readonly mtls?: boolean;
  /** `workload;namespace;canonical;revision;cluster` */
  readonly workload?: string;
}

export function endpoints(clusterName: string, list: readonly EndpointInit[]): ResourceChange {
  const message = create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [
      {
        locality: {},
        lbEndpoints: list.map(({ host, port, mtls, workload }) => ({
          hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress(port, host) } },
          metadata: {
            filterMetadata: {
              ...(mtls === true ? { "envoy.transport_socket_match": { tlsMode: "istio" } } : {}),
              ...(workload === undefined ? {} : { istio: { workload } }),
            },
          },
        })),
      },
    ],
  });
  return resource(ENDPOINT_TYPE, clusterName, ClusterLoadAssignmentSchema, message);
}
