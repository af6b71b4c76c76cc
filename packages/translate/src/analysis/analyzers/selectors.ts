import type {
  AuthorizationPolicySpec,
  GrpcJsonTranscoderSpec,
  MeshObject,
  PeerAuthenticationSpec,
  RateLimitSpec,
  RequestAuthenticationSpec,
  SidecarSpec,
} from "@tulle/api";
import { selects } from "../../visibility.js";
import type { Analysis } from "../analysis.js";

/** IST0127: a policy whose selector no registered workload of its namespace matches. */
export function analyzeSelector(analysis: Analysis, object: MeshObject): void {
  if (!analysis.live) return;
  const selector = selectorOf(object);
  if (selector === undefined || Object.keys(selector.labels).length === 0) return;
  const { namespace } = object.metadata;
  const { rootNamespace } = analysis.reader.settings;
  // Of the mesh's own namespace, such a policy holds for workloads everywhere.
  const anywhere = object.kind === "AuthorizationPolicy" && namespace === rootNamespace;
  for (const service of analysis.reader.catalog.services()) {
    if (!anywhere && service.namespace !== namespace) continue;
    if (service.instances.some((instance) => selects(selector.labels, instance.labels))) return;
  }
  const text = Object.entries(selector.labels).map(([key, value]) => `${key}=${value}`);
  const message = `no registered workload of ${anywhere ? "the mesh" : `the namespace ${namespace}`} is labelled ${text.join(", ")}: the object holds for nobody`;
  analysis.report("IST0127", object, selector.path, message);
}

function selectorOf(
  object: MeshObject,
): { readonly labels: Readonly<Record<string, string>>; readonly path: string } | undefined {
  switch (object.kind) {
    case "AuthorizationPolicy":
    case "PeerAuthentication":
    case "RequestAuthentication": {
      const { selector } = (
        object as MeshObject<AuthorizationPolicySpec | PeerAuthenticationSpec | RequestAuthenticationSpec>
      ).spec;
      return { labels: selector?.matchLabels ?? {}, path: "spec.selector" };
    }
    case "Sidecar": {
      const { workloadSelector } = (object as MeshObject<SidecarSpec>).spec;
      return { labels: workloadSelector?.labels ?? {}, path: "spec.workloadSelector" };
    }
    case "GrpcJsonTranscoder":
    case "RateLimit": {
      const { selector } = (object as MeshObject<RateLimitSpec | GrpcJsonTranscoderSpec>).spec;
      return { labels: selector?.matchLabels ?? {}, path: "spec.selector" };
    }
    default:
      return undefined;
  }
}
