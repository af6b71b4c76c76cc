import { SUPPRESS_ANNOTATION, type MeshObject } from "@tulle/api";
import type { Analysis } from "../analysis.js";
import { SECRET_ACCOUNTS_ANNOTATION } from "../../secret-data.js";
import { DNS_FAULT_ANNOTATIONS } from "../../dns-faults.js";
import { FAILURE_ACCRUAL_ANNOTATIONS } from "../../failure-accrual.js";
import { CALL_ANNOTATIONS } from "../../routes/annotated-calls.js";
import { RUNTIME_KEYS } from "../../routes/runtime-keys.js";
import { ALLOW_CONFLICT_ANNOTATION } from "../conflicts.js";

const HTTP_RULES = ["VirtualService", "HTTPRoute", "GRPCRoute", "MeshHTTPRoute"];

/** Kinds that an annotation is for; "any" = all that there are. */
const ANNOTATIONS: Readonly<Record<string, readonly string[] | "any">> = {
  [SUPPRESS_ANNOTATION]: "any",
  [ALLOW_CONFLICT_ANNOTATION]: "any",
  "tulle.dev/fault-bandwidth": ["VirtualService"],
  "tulle.dev/fault-bandwidth-percentage": ["VirtualService"],
  ...Object.fromEntries(DNS_FAULT_ANNOTATIONS.map((key) => [key, ["VirtualService"]])),
  "tulle.dev/fault-reset": ["VirtualService"],
  "tulle.dev/fault-reset-after-bytes": ["VirtualService"],
  "tulle.dev/hash-balance-factor": ["DestinationRule"],
  "tulle.dev/hedge-after": HTTP_RULES,
  "tulle.dev/hedge-max": HTTP_RULES,
  "tulle.dev/internal-redirects": HTTP_RULES,
  "tulle.dev/load-balancer": ["DestinationRule"],
  "tulle.dev/persistent-session-strict": ["ServiceEntry"],
  "tulle.dev/retry-non-idempotent": HTTP_RULES,
  "tulle.dev/priority": HTTP_RULES,
  [RUNTIME_KEYS]: ["VirtualService"],
  ...Object.fromEntries(FAILURE_ACCRUAL_ANNOTATIONS.map((key) => [key, ["DestinationRule", "ServiceEntry"]])),
  ...Object.fromEntries(
    Object.entries(CALL_ANNOTATIONS).map(([key, not]) => [
      key,
      ["HTTPRoute", "GRPCRoute", "ServiceEntry"].filter((kind) => !not.includes(kind)),
    ]),
  ),
  [SECRET_ACCOUNTS_ANNOTATION]: ["Secret"],
  "tulle.dev/split": HTTP_RULES,
  "tulle.dev/subset-fallback": ["DestinationRule"],
  "istio.io/dry-run": ["AuthorizationPolicy"],
  "istio.io/persistent-session": ["Service", "ServiceEntry"],
  "istio.io/persistent-session-header": ["Service", "ServiceEntry"],
  "internal.istio.io/route-semantics": ["VirtualService"],
  "networking.istio.io/exportTo": ["Service"],
  "networking.istio.io/traffic-distribution": ["Service", "ServiceEntry"],
  "networking.istio.io/service-type": ["Gateway"],
  "istio.io/autoRegistrationGroup": ["WorkloadEntry"],
  "istio.io/workloadController": ["WorkloadEntry"],
  "istio.io/connectedAt": ["WorkloadEntry"],
  "istio.io/disconnectedAt": ["WorkloadEntry"],
  "proxy.istio.io/config": ["Pod"],
  "proxy.istio.io/health-checks-enabled": ["WorkloadEntry"],
  "proxy.istio.io/overrides": ["Pod"],
  "sidecar.istio.io/inject": ["Pod"],
  "sidecar.istio.io/proxyImage": ["Pod"],
  "sidecar.istio.io/proxyCPU": ["Pod"],
  "sidecar.istio.io/proxyCPULimit": ["Pod"],
  "sidecar.istio.io/proxyMemory": ["Pod"],
  "sidecar.istio.io/proxyMemoryLimit": ["Pod"],
  "sidecar.istio.io/rewriteAppHTTPProbers": ["Pod"],
  "sidecar.istio.io/statsInclusionPrefixes": ["Pod"],
  "sidecar.istio.io/userVolume": ["Pod"],
  "sidecar.istio.io/userVolumeMount": ["Pod"],
  "status.sidecar.istio.io/port": ["Pod"],
  "topology.istio.io/controlPlaneClusters": ["Namespace"],
  "traffic.istio.io/nodeSelector": ["Service"],
  "traffic.sidecar.istio.io/excludeInboundPorts": ["Pod"],
  "traffic.sidecar.istio.io/excludeInterfaces": ["Pod"],
  "traffic.sidecar.istio.io/excludeOutboundIPRanges": ["Pod"],
  "traffic.sidecar.istio.io/excludeOutboundPorts": ["Pod"],
  "traffic.sidecar.istio.io/includeInboundPorts": ["Pod"],
  "traffic.sidecar.istio.io/includeOutboundIPRanges": ["Pod"],
  "traffic.sidecar.istio.io/includeOutboundPorts": ["Pod"],
  "ambient.istio.io/redirection": ["Pod"],
  "gateway.istio.io/controller-version": ["Gateway"],
};

/** IST0107, IST0108: annotations of Istio, Tulle and Linkerd on the wrong kind, or that nobody knows. */
export function analyzeAnnotations(analysis: Analysis, object: MeshObject): void {
  for (const key of Object.keys(object.metadata.annotations ?? {})) {
    if (!isOurs(key)) continue;
    const path = `metadata.annotations["${key}"]`;
    const kinds = Object.hasOwn(ANNOTATIONS, key) ? ANNOTATIONS[key] : undefined;
    if (kinds === undefined) analysis.report("IST0108", object, path, `the annotation ${key} is not known`);
    else if (kinds !== "any" && !kinds.includes(object.kind)) {
      const message = `the annotation ${key} has no effect on a ${object.kind}: it is for a ${kinds.join(" or ")}`;
      analysis.report("IST0107", object, path, message);
    }
  }
}

function isOurs(key: string): boolean {
  const domain = key.split("/")[0] ?? "";
  // Written by the control plane itself, with the manager's name in it.
  if (key.startsWith("tulle.dev/applied-by-") || key === "tulle.dev/last-applied-configuration") return false;
  return /(?:^|\.)(?:istio\.io|tulle\.dev)$|^(?:balancer|balancer\.alpha|retry|timeout)\.linkerd\.io$/.test(
    domain,
  );
}
