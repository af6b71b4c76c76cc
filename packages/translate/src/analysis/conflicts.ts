import type {
  FindingCode,
  HealthCheckSpec,
  MeshConfigSpec,
  MeshObject,
  PeerAuthenticationSpec,
  SidecarSpec,
  TrafficPolicySpec,
  VirtualServiceSpec,
} from "@tulle/api";
import { expandHost } from "../hosts.js";
import { isForMesh } from "../virtual-services.js";
import { sharedNamespace } from "./visibility-overlap.js";

/** Annotation with which a conflicting object is stored all the same; the older one holds. */
export const ALLOW_CONFLICT_ANNOTATION = "tulle.dev/allow-conflict";

/** Two objects that claim the same. */
export interface Conflict {
  readonly code: FindingCode;
  /** Of `object`, in kubectl's notation. */
  readonly path: string;
  /** What both claim: `the host reviews.default.svc.cluster.local`. */
  readonly claim: string;
  readonly other: MeshObject;
}

/** What an object claims for itself alone: equal keys conflict, where somebody sees both. */
interface Claim {
  readonly key: string;
  readonly code: FindingCode;
  readonly path: string;
  readonly text: string;
}

/** The conflicts of one object with others of its kind. */
export function conflictsOf(
  object: MeshObject,
  all: readonly MeshObject[],
  domain: string,
): readonly Conflict[] {
  const conflicts: Conflict[] = [];
  const claimants = claimantsIn(all, domain);
  for (const { key, code, path, text } of claimsOf(object, domain)) {
    for (const other of claimants.get(key) ?? []) {
      if (isSame(object, other) || !areSeenTogether(object, other)) continue;
      conflicts.push({ code, path, claim: text, other });
    }
  }
  return conflicts;
}

/** Lists stay the same until one of their objects changes. */
const indexes = new WeakMap<readonly MeshObject[], ReadonlyMap<string, readonly MeshObject[]>>();

/** Who claims what in a list. */
function claimantsIn(all: readonly MeshObject[], domain: string): ReadonlyMap<string, readonly MeshObject[]> {
  const known = indexes.get(all);
  if (known !== undefined) return known;
  const claimants = new Map<string, MeshObject[]>();
  for (const object of all) {
    for (const { key } of claimsOf(object, domain)) {
      const others = claimants.get(key);
      if (others === undefined) claimants.set(key, [object]);
      else others.push(object);
    }
  }
  indexes.set(all, claimants);
  return claimants;
}

/** Kinds whose objects can conflict. */
export const CONFLICTING_KINDS = [
  { group: "networking.istio.io", kind: "VirtualService" },
  { group: "networking.istio.io", kind: "Sidecar" },
  { group: "security.istio.io", kind: "PeerAuthentication" },
  { group: "tulle.dev", kind: "MeshConfig" },
  { group: "tulle.dev", kind: "HealthCheck" },
  { group: "tulle.dev", kind: "TrafficPolicy" },
] as const;

function claimsOf(object: MeshObject, domain: string): readonly Claim[] {
  switch (object.kind) {
    case "VirtualService":
      return virtualServiceClaims(object as MeshObject<VirtualServiceSpec>, domain);
    case "Sidecar":
      return [sidecarClaim(object as MeshObject<SidecarSpec>)];
    case "PeerAuthentication":
      return [peerAuthenticationClaim(object as MeshObject<PeerAuthenticationSpec>)];
    case "MeshConfig":
      return meshConfigClaims(object as MeshObject<MeshConfigSpec>);
    case "HealthCheck":
      return [healthCheckClaim(object as MeshObject<HealthCheckSpec>, domain)];
    case "TrafficPolicy":
      return trafficPolicyClaims(object as MeshObject<TrafficPolicySpec>, domain);
    default:
      return [];
  }
}

/** Hosts that sidecars are routed by. Delegates have none. */
function virtualServiceClaims(
  { spec, metadata }: MeshObject<VirtualServiceSpec>,
  domain: string,
): readonly Claim[] {
  if (!isForMesh(spec.gateways)) return [];
  return (spec.hosts ?? []).map((written, index) => {
    const host = fullName(written.toLowerCase(), metadata.namespace, domain);
    return { key: host, code: "IST0109", path: `spec.hosts[${index}]`, text: `the host ${host}` };
  });
}

/** `reviews.default` means the service where there is one; two objects that write it so mean the same. */
function fullName(host: string, namespace: string, domain: string): string {
  return /^[^.*:]+\.[^.*:]+$/.test(host) ? `${host}.svc.${domain}` : expandHost(host, namespace, domain);
}

function sidecarClaim({ spec, metadata }: MeshObject<SidecarSpec>): Claim {
  const labels = spec.workloadSelector?.labels ?? {};
  const key = `${metadata.namespace} ${labelText(labels)}`;
  if (Object.keys(labels).length === 0) {
    const text = `every workload of the namespace ${metadata.namespace}`;
    return { key, code: "IST0111", path: "spec.workloadSelector", text };
  }
  const text = `the workloads labelled ${labelText(labels)} of the namespace ${metadata.namespace}`;
  return { key, code: "IST0110", path: "spec.workloadSelector", text };
}

function peerAuthenticationClaim({ spec, metadata }: MeshObject<PeerAuthenticationSpec>): Claim {
  const labels = spec.selector?.matchLabels ?? {};
  const whose =
    Object.keys(labels).length === 0 ? "every workload" : `the workloads labelled ${labelText(labels)}`;
  return {
    key: `${metadata.namespace} ${labelText(labels)}`,
    code: "TUL0006",
    path: "spec.selector",
    text: `${whose} of the namespace ${metadata.namespace}`,
  };
}

/** Settings that there is one of; of providers there may be many. */
function meshConfigClaims({ spec, metadata }: MeshObject<MeshConfigSpec>): readonly Claim[] {
  const { extensionProviders: _providers, ...settings } = spec;
  return Object.keys(settings).map((name) => ({
    key: `${metadata.namespace} ${name}`,
    code: "TUL0006",
    path: `spec.${name}`,
    text: `${name} of the mesh (namespace ${metadata.namespace})`,
  }));
}

/** Each namespace has checks of its own: a client takes those of one. */
function healthCheckClaim(object: MeshObject<HealthCheckSpec>, domain: string): Claim {
  const text = `the checks of ${targetText(object, domain)}`;
  return { key: text, code: "TUL0006", path: "spec.host", text };
}

/** Policies of one target add up as long as they say different things. */
function trafficPolicyClaims(object: MeshObject<TrafficPolicySpec>, domain: string): readonly Claim[] {
  const { host: _host, port: _port, subset: _subset, ...settings } = object.spec;
  return Object.keys(settings).map((name) => {
    const text = `${name} of ${targetText(object, domain)}`;
    return { key: text, code: "TUL0006", path: `spec.${name}`, text };
  });
}

/** What an object of our own kinds is about, in words that are equal for equal targets. */
function targetText(
  { spec, metadata }: MeshObject<Pick<HealthCheckSpec, "host" | "port" | "subset">>,
  domain: string,
): string {
  const host = fullName(spec.host.toLowerCase(), metadata.namespace, domain);
  const port = spec.port === undefined ? "" : ` on port ${spec.port}`;
  const whose = spec.subset === undefined ? "the endpoints" : `the subset ${spec.subset}`;
  return `${whose} of ${host}${port} for the namespace ${metadata.namespace}`;
}

/** Equal for equal selectors. */
function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}

function areSeenTogether(a: MeshObject, b: MeshObject): boolean {
  return sharedNamespace(exportOf(a), exportOf(b)) !== undefined;
}

function exportOf({ metadata, spec }: MeshObject) {
  const { exportTo } = spec as { readonly exportTo?: readonly string[] };
  return { namespace: metadata.namespace, exportTo };
}

function isSame(a: MeshObject, b: MeshObject): boolean {
  return a.metadata.namespace === b.metadata.namespace && a.metadata.name === b.metadata.name;
}
