import type { JsonObject } from "@bufbuild/protobuf";
import { formatAddress } from "@tulle/base";

import type { ListenAddress, SidecarOptions } from "../options.js";

/** `sidecar~<ip>~<instance id>.<namespace>~<namespace>.svc.cluster.local`, Istio's form of a node id; of a gateway `router~…`. */
export function nodeId(
  options: Pick<SidecarOptions, "namespace" | "meshAddress" | "inboundAddress" | "instanceId" | "gateway">,
): string {
  const namespace = options.namespace ?? "default";
  const address = options.meshAddress ?? options.inboundAddress ?? "127.0.0.1";
  const role = options.gateway === undefined ? "sidecar" : "router";
  return `${role}~${address}~${options.instanceId}.${namespace}~${namespace}.svc.cluster.local`;
}

/** What the control plane is told about the workload; docs/architecture.md "xDS node". */
export function nodeMetadata(options: SidecarOptions, admin: ListenAddress): JsonObject {
  return {
    NAMESPACE: options.namespace ?? "default",
    SERVICE_ACCOUNT: options.serviceAccount ?? options.service,
    WORKLOAD_NAME: workloadName(options),
    LABELS: { ...options.labels },
    INBOUND: options.inbound.map((port) => ({ ...port })),
    ADMIN: formatAddress(admin.host, admin.port),
    ...(options.gateway === undefined ? {} : { TRUSTED_PROXIES: options.gateway.trustedProxies ?? 0 }),
    INTERCEPTION_MODE: options.intercept === true ? "REDIRECT" : "NONE",
  };
}

/** The workload's name in metrics: as given, else `<service>-<version>`, else the service's. */
export function workloadName(options: Pick<SidecarOptions, "labels" | "service" | "workloadName">): string {
  const version = options.labels?.["version"];
  return options.workloadName ?? (version === undefined ? options.service : `${options.service}-${version}`);
}
